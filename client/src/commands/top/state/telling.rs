//! Which metrics say most about a run of a kind, and what they are measured in.

use begat_schemas::StageKind;
use begat_schemas::api::RunView;

/// A metric and the word for it where room is scarce.
type Word = (&'static str, &'static str);

/// A value that a line of the list shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What it is called.
    pub word: String,
    /// The value.
    pub value: f64,
}

const LOSS: [Word; 2] = [("loss", "loss"), ("eval_loss", "held-out loss")];

/// What a kind of stage is about, the most telling first.
const fn telling(kind: StageKind) -> &'static [Word] {
    match kind {
        StageKind::Pretrain | StageKind::Sft => &[
            ("loss", "loss"),
            ("eval_loss", "held-out"),
            ("mean_token_accuracy", "accuracy"),
        ],
        StageKind::Reward => &[
            ("accuracy", "accuracy"),
            ("eval_accuracy", "held-out"),
            ("margin", "margin"),
            ("loss", "loss"),
        ],
        StageKind::Dpo => &[
            ("rewards/accuracies", "accuracy"),
            ("rewards/margins", "margin"),
            ("eval_rewards/accuracies", "held-out"),
            ("loss", "loss"),
        ],
        StageKind::Ppo => &[
            ("objective/scores", "reward"),
            ("objective/kl", "KL"),
            ("objective/rlhf_reward", "less KL"),
            ("policy/entropy_avg", "entropy"),
        ],
        StageKind::Evaluate => &[
            ("gold_score", "gold"),
            ("win_rate_gold", "wins"),
            ("gold_score_greedy", "greedy"),
            ("reward_mean", "reward"),
            ("kl", "KL"),
            ("eval_loss", "loss"),
        ],
        StageKind::RejectionSampling => &[
            ("kept_reward", "kept"),
            ("kept_gold_score", "gold"),
            ("reward_best", "best"),
        ],
        StageKind::Annotate => &[("gold_score", "gold"), ("score", "score"), ("gap", "gap")],
        StageKind::Tokenizer => &[
            ("vocabulary_size", "vocabulary"),
            ("bytes_per_token", "bytes/token"),
        ],
        _ => &[
            ("loss", "loss"),
            ("eval_loss", "held-out"),
            ("reward", "reward"),
            ("accuracy", "accuracy"),
            ("win_rate", "wins"),
        ],
    }
}

/// After what a kind is about, what every training stage measures.
const COMMON: [&str; 5] = [
    "learning_rate",
    "lr",
    "grad_norm",
    "tokens_per_second",
    "perplexity",
];

/// How early a metric is shown: losses first, then what its kind is about, then the rest; where time went comes last.
pub(super) fn rank(kind: Option<StageKind>, name: &str) -> usize {
    let kind = kind.map_or(&[][..], telling);
    let first = LOSS.iter().chain(kind).map(|(name, _)| *name).chain(COMMON);
    match first.into_iter().position(|known| known == name) {
        Some(at) => at,
        None if name.starts_with("seconds/") => usize::MAX,
        None => usize::MAX - 1,
    }
}

/// The values that say most about a run, the most telling first.
pub fn figures(run: &RunView) -> Vec<Figure> {
    let known = telling(run.kind).iter().filter_map(|(name, word)| {
        Some(Figure {
            word: (*word).to_owned(),
            value: run.metrics.get(*name)?.0,
        })
    });
    let known: Vec<Figure> = known.collect();
    if !known.is_empty() {
        return known;
    }
    let others = run
        .metrics
        .iter()
        .filter(|(name, _)| !name.starts_with("seconds/"));
    let others = others.map(|(name, metric)| Figure {
        word: super::clean(name),
        value: metric.0,
    });
    others.collect()
}

/// What a metric of a kind is measured in; empty if its name says it or it has no unit.
pub(super) fn unit(kind: Option<StageKind>, name: &str) -> &'static str {
    let plain = name.strip_prefix("eval_").unwrap_or(name);
    let reads_text = matches!(kind, Some(StageKind::Pretrain | StageKind::Sft));
    match plain {
        "loss" if reads_text => "nats a token",
        _ if plain.starts_with("seconds/") => "s a step",
        "tokens_per_second" => "tokens/s",
        "eps" => "episodes/s",
        "num_tokens" | "val/num_eos_tokens" => "tokens",
        "completions/mean_length" | "mean_length" => "tokens",
        "objective/kl" | "kl" | "kl_k3" | "objective/entropy" => "nats a sequence",
        "policy/approxkl_avg" | "policy/entropy_avg" | "entropy" => "nats a token",
        _ if plain.starts_with("logps/") => "nats a sequence",
        "epoch" => "epochs",
        "episode" => "episodes",
        _ => "",
    }
}
