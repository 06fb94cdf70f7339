//! The API skeleton of a source file: what it declares, one declaration a line, with its documentation.
//!
//! Bodies, attributes, imports, macros, comments and tests go, and so does indentation. What remains looks like a
//! prompt and its completion, so that a model that has only been pretrained can already try to complete one.
//!
//! The walk also collects the documented functions, because both come from the same declarations.

use syn::{Attribute, Fields, ImplItem, Item, Signature, TraitItem, Visibility};

use crate::declaration::{self, one_line_of};
use crate::documentation;

/// A function with a documentation comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentedFunction {
    pub(crate) documentation: Vec<String>,
    /// From `fn` to the return type, on one line; `None` if the function is async or has a `where` clause.
    pub(crate) signature: Option<String>,
}

/// What a source file declares.
#[derive(Debug, Default)]
pub(crate) struct Skeleton {
    pub(crate) text: String,
    pub(crate) lines: usize,
    pub(crate) documentation_lines: usize,
    pub(crate) functions: Vec<DocumentedFunction>,
}

impl Skeleton {
    /// The skeleton of a file.
    pub(crate) fn of(file: &syn::File) -> Self {
        let mut skeleton = Self::default();
        if !is_left_out(&file.attrs) {
            skeleton.items(&file.items);
        }
        skeleton
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
        self.lines += 1;
    }

    fn documentation(&mut self, attributes: &[Attribute]) {
        for text in documentation::prose(&documentation::lines(attributes)) {
            self.line(&format!("/// {text}"));
            self.documentation_lines += 1;
        }
    }

    /// One declaration: its documentation and its line, unless it is left out.
    fn declare(&mut self, attributes: &[Attribute], line: &str) {
        if !is_left_out(attributes) {
            self.documentation(attributes);
            self.line(line);
        }
    }

    /// A declaration with others inside.
    fn enclose(&mut self, attributes: &[Attribute], head: &str, inside: impl FnOnce(&mut Self)) {
        if !is_left_out(attributes) {
            self.documentation(attributes);
            self.line(&format!("{head} {{"));
            inside(self);
            self.line("}");
        }
    }

    fn items(&mut self, items: &[Item]) {
        items.iter().for_each(|item| self.item(item));
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Const(item) => self.declare(
                &item.attrs,
                &declaration::constant(&item.vis, &item.ident, &item.ty),
            ),
            Item::Static(item) => self.declare(&item.attrs, &declaration::static_item(item)),
            Item::Type(item) => self.declare(&item.attrs, &declaration::type_alias(item)),
            Item::Fn(item) => self.function(&item.attrs, &item.vis, &item.sig),
            Item::Struct(item) => self.structure(item),
            Item::Union(item) => {
                let head = declaration::head(&item.vis, "union", &item.ident, &item.generics);
                self.enclose(&item.attrs, &head, |skeleton| {
                    skeleton.fields(&item.fields.named)
                });
            }
            Item::Enum(item) => self.enumeration(item),
            Item::Trait(item) => {
                self.enclose(&item.attrs, &declaration::trait_head(item), |skeleton| {
                    item.items
                        .iter()
                        .for_each(|inner| skeleton.trait_item(inner));
                })
            }
            Item::Impl(item) if !item.items.is_empty() => {
                self.enclose(&item.attrs, &declaration::impl_head(item), |skeleton| {
                    item.items
                        .iter()
                        .for_each(|inner| skeleton.impl_item(inner));
                });
            }
            Item::Mod(item) => self.module(item),
            _ => {}
        }
    }

    fn module(&mut self, item: &syn::ItemMod) {
        if let Some((_, items)) = &item.content {
            let head = format!("{}mod {}", declaration::visibility(&item.vis), item.ident);
            self.enclose(&item.attrs, &head, |skeleton| skeleton.items(items));
        }
    }

    fn structure(&mut self, item: &syn::ItemStruct) {
        match &item.fields {
            Fields::Named(fields) => {
                let head = declaration::head(&item.vis, "struct", &item.ident, &item.generics);
                self.enclose(&item.attrs, &head, |skeleton| {
                    skeleton.fields(&fields.named)
                });
            }
            _ => self.declare(&item.attrs, &declaration::unnamed_struct(item)),
        }
    }

    fn fields(&mut self, fields: &syn::punctuated::Punctuated<syn::Field, syn::Token![,]>) {
        fields.iter().for_each(|field| {
            self.declare(&field.attrs, &format!("{},", declaration::field(field)))
        });
    }

    fn enumeration(&mut self, item: &syn::ItemEnum) {
        let head = declaration::head(&item.vis, "enum", &item.ident, &item.generics);
        self.enclose(&item.attrs, &head, |skeleton| {
            for variant in &item.variants {
                skeleton.declare(
                    &variant.attrs,
                    &format!("{},", declaration::variant(variant)),
                );
            }
        });
    }

    fn trait_item(&mut self, item: &TraitItem) {
        let inherited = Visibility::Inherited;
        match item {
            TraitItem::Const(item) => {
                self.declare(
                    &item.attrs,
                    &declaration::constant(&inherited, &item.ident, &item.ty),
                );
            }
            TraitItem::Fn(item) => self.function(&item.attrs, &inherited, &item.sig),
            TraitItem::Type(item) => self.declare(&item.attrs, &declaration::associated_type(item)),
            _ => {}
        }
    }

    fn impl_item(&mut self, item: &ImplItem) {
        match item {
            ImplItem::Const(item) => {
                self.declare(
                    &item.attrs,
                    &declaration::constant(&item.vis, &item.ident, &item.ty),
                );
            }
            ImplItem::Fn(item) => self.function(&item.attrs, &item.vis, &item.sig),
            ImplItem::Type(item) => {
                let text = format!(
                    "type {}{} = {};",
                    item.ident,
                    one_line_of(&item.generics),
                    one_line_of(&item.ty)
                );
                self.declare(&item.attrs, &text);
            }
            _ => {}
        }
    }

    fn function(
        &mut self,
        attributes: &[Attribute],
        visibility: &Visibility,
        signature: &Signature,
    ) {
        if is_left_out(attributes) {
            return;
        }
        let signature = declaration::without_argument_attributes(signature);
        self.declare(attributes, &declaration::function(visibility, &signature));
        let documentation = documentation::lines(attributes);
        if !documentation.is_empty() {
            self.functions.push(DocumentedFunction {
                documentation,
                signature: declaration::bare_signature(&signature),
            });
        }
    }
}

/// Tests, and what its author hides from the documentation.
fn is_left_out(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        let last = path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "test");
        last || path.is_ident("cfg") && is_test_condition(attribute)
            || path.is_ident("doc") && is_hidden(attribute)
    })
}

fn is_test_condition(attribute: &Attribute) -> bool {
    let condition = declaration::words_of(&attribute.meta);
    condition.iter().any(|word| word == "test") && !condition.iter().any(|word| word == "not")
}

fn is_hidden(attribute: &Attribute) -> bool {
    matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "hidden")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &str) -> Skeleton {
        let skeleton = Skeleton::of(&syn::parse_file(source).unwrap());
        assert_eq!(skeleton.text, expected);
        assert_eq!(skeleton.lines, expected.lines().count());
        assert_eq!(
            skeleton.documentation_lines,
            expected
                .lines()
                .filter(|line| line.starts_with("///"))
                .count()
        );
        skeleton
    }

    #[test]
    fn bodies_attributes_imports_macros_and_tests_go() {
        check(
            "//! Module.\nuse std::fmt;\nmacro_rules! m { () => {} }\nm!();\n#[derive(Debug)]\n/// A pipe.\n///\n/// ```\n/// code\n/// ```\npub struct Pipe<T> where T: Copy, {\n    /// Inside.\n    pub inner: T, // why\n}\nimpl<T> Pipe<T> {\n    /// Makes one.\n    #[inline]\n    pub fn new(\n        inner: T,\n    ) -> Self { Self { inner } }\n    fn quiet(&self) {}\n}\n#[cfg(test)]\nmod tests { fn t() {} }\n#[test]\nfn also() {}\n#[doc(hidden)]\npub fn hidden() {}\n",
            "/// A pipe.\npub struct Pipe<T> where T: Copy {\n/// Inside.\npub inner: T,\n}\nimpl<T> Pipe<T> {\n/// Makes one.\npub fn new(inner: T) -> Self;\nfn quiet(&self);\n}\n",
        );
    }

    #[test]
    fn every_kind_of_declaration_is_one_line() {
        check(
            "pub const A: [u8; 2] = [1, 2];\nstatic B: &str = \"x\";\npub type C<T> = Vec<T>;\npub struct D(pub u8, String);\nstruct E;\nenum F<T: Copy> {\n    /// One.\n    One(T),\n    Two { x: u8 },\n    Three = 3,\n}\npub unsafe trait G: Sized + Copy {\n    const H: u8 = 1;\n    type I: Copy;\n    fn j(&self) where Self: Copy { }\n}\nimpl G for E { type I = u8; }\nmod k { pub(crate) async unsafe fn l() {} }\nmod m;\nunion N { a: u8 }\nimpl Copy for E {}\n",
            "pub const A: [u8; 2];\nstatic B: &str;\npub type C<T> = Vec<T>;\npub struct D(pub u8, String);\nstruct E;\nenum F<T: Copy> {\n/// One.\nOne(T),\nTwo { x: u8 },\nThree,\n}\npub unsafe trait G: Sized + Copy {\nconst H: u8;\ntype I: Copy;\nfn j(&self) where Self: Copy;\n}\nimpl G for E {\ntype I = u8;\n}\nmod k {\npub(crate) async unsafe fn l();\n}\nunion N {\na: u8,\n}\n",
        );
    }

    #[test]
    fn documented_functions_are_collected_with_bare_signatures() {
        let skeleton = Skeleton::of(
            &syn::parse_file(
                "/// One.\npub const unsafe fn a(#[cfg(x)] y: u8) -> u8 { 1 }\nfn b() {}\n/// Two.\nasync fn c() {}\ntrait T {\n    /// Three.\n    fn d(&self) where Self: Sized;\n}",
            )
            .unwrap(),
        );
        let found: Vec<_> = skeleton
            .functions
            .iter()
            .map(|f| (f.documentation[0].as_str(), f.signature.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("One.", Some("fn a(y: u8) -> u8")),
                ("Two.", None),
                ("Three.", None)
            ]
        );
    }
}
