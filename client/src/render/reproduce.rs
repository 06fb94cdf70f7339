//! What came of making runs again.

use begat_schemas::api::{
    FileVerdict, OutputVerdict, ReproduceState, ReproduceView, RunVerdict, TensorVerdict,
};

use super::{Look, count, several, value};
use crate::text::printable;

/// Differing tensors that are listed per file; more are counted.
const TENSORS_MAX: usize = 10;

/// A reproduction, run by run, and its verdict.
pub fn reproduction(view: &ReproduceView, look: Look) -> String {
    let mut text: String = view
        .verdicts
        .iter()
        .map(|verdict| run(verdict, look))
        .collect();
    text.push_str(&match view.state {
        ReproduceState::Running => "still running\n".to_owned(),
        ReproduceState::Identical => {
            let outputs = view.verdicts.iter().map(|verdict| verdict.outputs.len());
            let outputs = several(outputs.sum::<usize>() as u64, "output");
            format!(
                "{}: {outputs} came out bit for bit\n",
                look.good("identical")
            )
        }
        ReproduceState::Different => {
            format!(
                "{}: not every output came out bit for bit\n",
                look.bad("different")
            )
        }
        ReproduceState::Corrupt => {
            format!(
                "{}: what is stored is not what was stored\n",
                look.bad("corrupt")
            )
        }
        ReproduceState::Failed => format!("{}: it could not be made again\n", look.bad("failed")),
    });
    text
}

fn run(verdict: &RunVerdict, look: Look) -> String {
    let label = verdict.label.as_deref().unwrap_or("a run of no launch");
    let attempt = match verdict.attempt {
        Some(attempt) => format!(
            "attempt {} against attempt {}",
            attempt.number, verdict.original.number
        ),
        None => "not made again".to_owned(),
    };
    let mut text = format!(
        "{}  run {}  {attempt}\n",
        look.heading(label),
        verdict.run.short()
    );
    if let Some(reason) = &verdict.reason {
        text.push_str(&format!("  {}\n", printable(reason)));
    }
    if let Some(class) = execution_class(verdict) {
        text.push_str(&format!("  {class}\n"));
    }
    if verdict.steps_compared > 0 {
        text.push_str(&format!("  {}\n", steps(verdict, look)));
    }
    for output in &verdict.outputs {
        text.push_str(&output_lines(output, look));
    }
    text.push('\n');
    text
}

fn execution_class(verdict: &RunVerdict) -> Option<String> {
    let text = match verdict.same_execution_class? {
        true => "same execution class".to_owned(),
        false if verdict.differing_probes.is_empty() => "another execution class".to_owned(),
        false => format!(
            "another execution class: these operations give other bits here: {}",
            verdict.differing_probes.join(", ")
        ),
    };
    Some(text)
}

fn steps(verdict: &RunVerdict, look: Look) -> String {
    let compared = count(verdict.steps_compared);
    match verdict.first_differing_step {
        None => format!("{compared} steps compared, loss and gradient norm equal in every bit"),
        Some(step) => format!(
            "{} is the first whose loss or gradient norm differs ({compared} compared)",
            look.bad(&format!("step {step}"))
        ),
    }
}

fn output_lines(output: &OutputVerdict, look: Look) -> String {
    let name = &output.output;
    if output.expected == output.found {
        let tensors = match output.tensors {
            0 => "every file".to_owned(),
            tensors => format!(
                "{} of {} tensors",
                count(output.identical_tensors),
                count(tensors)
            ),
        };
        let tree = output.found.short();
        return format!(
            "  {name}: tree {tree}, {tensors} {}\n",
            look.good("bit-identical")
        );
    }
    let mut text = format!(
        "  {name}: {}: expected tree {}, found {}; {} of {} tensors bit-identical\n",
        look.bad("differs"),
        output.expected.short(),
        output.found.short(),
        count(output.identical_tensors),
        count(output.tensors)
    );
    for file in &output.differing_files {
        text.push_str(&file_lines(file));
    }
    text
}

fn file_lines(file: &FileVerdict) -> String {
    let mut text = format!("    {}: {}\n", file.path, file.what);
    for tensor in file.tensors.iter().take(TENSORS_MAX) {
        text.push_str(&format!("      {}\n", tensor_line(tensor)));
    }
    let more = file.tensors.len().saturating_sub(TENSORS_MAX);
    if more > 0 {
        text.push_str(&format!("      and {more} more\n"));
    }
    text
}

fn tensor_line(tensor: &TensorVerdict) -> String {
    let name = printable(&tensor.name);
    match tensor.max_difference {
        None => format!("{name}: other shape or number format"),
        Some(difference) => format!(
            "{name}: {} of {} elements differ, by {} at most",
            count(tensor.differing),
            count(tensor.elements),
            value(difference)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn identical() {
        insta::assert_snapshot!(reproduction(&samples::identical(), Look::default()));
    }

    #[test]
    fn different() {
        insta::assert_snapshot!(reproduction(&samples::different(), Look::default()));
    }

    #[test]
    fn corrupt() {
        insta::assert_snapshot!(reproduction(&samples::corrupt(), Look::default()));
    }
}
