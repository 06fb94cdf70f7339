//! The one-line text of each kind of declaration, without its value or body.

use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Fields, FnArg, Generics, Ident, Signature, Type, Visibility};

use crate::one_line::{one_line, words};

/// Any piece of the syntax tree on one line.
pub(crate) fn one_line_of(tokens: &impl ToTokens) -> String {
    one_line(tokens.to_token_stream())
}

/// The words and marks of any piece of the syntax tree.
pub(crate) fn words_of(tokens: &impl ToTokens) -> Vec<String> {
    words(tokens.to_token_stream())
}

/// The visibility with a space after it, or nothing.
pub(crate) fn visibility(visibility: &Visibility) -> String {
    match visibility {
        Visibility::Inherited => String::new(),
        shown => format!("{} ", one_line_of(shown)),
    }
}

pub(crate) fn constant(vis: &Visibility, name: &Ident, of: &Type) -> String {
    format!("{}const {name}: {};", visibility(vis), one_line_of(of))
}

pub(crate) fn static_item(item: &syn::ItemStatic) -> String {
    format!(
        "{}static {}: {};",
        visibility(&item.vis),
        item.ident,
        one_line_of(&item.ty)
    )
}

pub(crate) fn type_alias(item: &syn::ItemType) -> String {
    format!(
        "{} = {};",
        head(&item.vis, "type", &item.ident, &item.generics),
        one_line_of(&item.ty)
    )
}

pub(crate) fn associated_type(item: &syn::TraitItemType) -> String {
    let bounds = without_trailing(&item.bounds);
    let bounds = if bounds.is_empty() {
        String::new()
    } else {
        format!(": {}", one_line_of(&bounds))
    };
    format!(
        "type {}{}{bounds};",
        item.ident,
        one_line_of(&item.generics)
    )
}

/// Visibility, keyword, name, generics and `where` clause.
pub(crate) fn head(vis: &Visibility, keyword: &str, name: &Ident, generics: &Generics) -> String {
    format!(
        "{}{keyword} {name}{}{}",
        visibility(vis),
        one_line_of(generics),
        where_clause(generics)
    )
}

pub(crate) fn unnamed_struct(item: &syn::ItemStruct) -> String {
    let fields = match &item.fields {
        Fields::Unnamed(fields) => format!(
            "({})",
            fields
                .unnamed
                .iter()
                .map(field)
                .collect::<Vec<_>>()
                .join(", ")
        ),
        _ => String::new(),
    };
    let generics = one_line_of(&item.generics);
    format!(
        "{}struct {}{generics}{fields}{};",
        visibility(&item.vis),
        item.ident,
        where_clause(&item.generics)
    )
}

pub(crate) fn field(field: &syn::Field) -> String {
    let name = field
        .ident
        .as_ref()
        .map(|name| format!("{name}: "))
        .unwrap_or_default();
    format!("{}{name}{}", visibility(&field.vis), one_line_of(&field.ty))
}

pub(crate) fn variant(variant: &syn::Variant) -> String {
    let inside = variant
        .fields
        .iter()
        .map(field)
        .collect::<Vec<_>>()
        .join(", ");
    match &variant.fields {
        Fields::Named(_) => format!("{} {{ {inside} }}", variant.ident),
        Fields::Unnamed(_) => format!("{}({inside})", variant.ident),
        Fields::Unit => variant.ident.to_string(),
    }
}

pub(crate) fn trait_head(item: &syn::ItemTrait) -> String {
    let keyword = if item.unsafety.is_some() {
        "unsafe trait"
    } else {
        "trait"
    };
    let bounds = without_trailing(&item.supertraits);
    let bounds = if bounds.is_empty() {
        String::new()
    } else {
        format!(": {}", one_line_of(&bounds))
    };
    let generics = one_line_of(&item.generics);
    let vis = visibility(&item.vis);
    format!(
        "{vis}{keyword} {}{generics}{bounds}{}",
        item.ident,
        where_clause(&item.generics)
    )
}

pub(crate) fn impl_head(item: &syn::ItemImpl) -> String {
    let keyword = if item.unsafety.is_some() {
        "unsafe impl"
    } else {
        "impl"
    };
    let of = item
        .trait_
        .as_ref()
        .map(|(path, _)| format!("{} for ", one_line_of(path)))
        .unwrap_or_default();
    let generics = one_line_of(&item.generics);
    format!(
        "{keyword}{generics} {of}{}{}",
        one_line_of(&item.self_ty),
        where_clause(&item.generics)
    )
}

/// The declaration of a function: everything but its body.
pub(crate) fn function(vis: &Visibility, signature: &Signature) -> String {
    format!("{}{};", visibility(vis), one_line_of(signature))
}

/// The signature without attributes on its arguments and without trailing commas.
pub(crate) fn without_argument_attributes(signature: &Signature) -> Signature {
    let mut signature = signature.clone();
    for argument in &mut signature.inputs {
        match argument {
            FnArg::Receiver(receiver) => receiver.attrs.clear(),
            FnArg::Typed(typed) => typed.attrs.clear(),
        }
    }
    if let Some(clause) = &mut signature.generics.where_clause {
        clause.predicates = without_trailing(&clause.predicates);
    }
    signature
}

/// From `fn` on; `None` where the signature needs more than one line of plain Rust to be understood.
pub(crate) fn bare_signature(signature: &Signature) -> Option<String> {
    if signature.asyncness.is_some() || signature.generics.where_clause.is_some() {
        return None;
    }
    let mut bare = signature.clone();
    bare.constness = None;
    bare.abi = None;
    bare.safety = syn::Safety::Default;
    Some(one_line_of(&bare))
}

fn where_clause(generics: &Generics) -> String {
    match &generics.where_clause {
        Some(clause) if !clause.predicates.is_empty() => {
            format!(
                " where {}",
                one_line_of(&without_trailing(&clause.predicates))
            )
        }
        _ => String::new(),
    }
}

fn without_trailing<T: Clone, P: Clone + Default>(list: &Punctuated<T, P>) -> Punctuated<T, P> {
    list.iter().cloned().collect()
}
