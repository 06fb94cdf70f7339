//! The metrics that stages write into their journals, under TRL's names where TRL has one: what they mean, and which series
//! shows them. Those that have no series of their own are shown by `begat_stage_metric`.

use super::family::{Family, families};

const RUN: [&str; 2] = ["run", "stage"];

families! {
    LOSS = Gauge("begat_stage_loss", RUN, "that of the objective", "Training loss of the last step.");
    EVAL_LOSS = Gauge("begat_stage_eval_loss", RUN, "that of the objective", "Loss on held-out data when it was last measured.");
    PERPLEXITY = Gauge("begat_stage_perplexity", RUN, "1 and more", "Exponential of the loss.");
    LEARNING_RATE = Gauge("begat_stage_learning_rate", RUN, "1", "Learning rate of the last step; PPO's is the policy's.");
    GRAD_NORM = Gauge("begat_stage_grad_norm", RUN, "1", "Norm of the gradient before clipping, of the last step.");
    TOKENS_PER_SECOND = Gauge("begat_stage_tokens_per_second", RUN, "tokens a second", "Tokens trained on per second, of the last interval.");
    EPISODES_PER_SECOND = Gauge("begat_stage_episodes_per_second", RUN, "episodes a second", "Episodes per second since the stage's process began.");
    MFU = Gauge("begat_stage_model_flops_utilization_ratio", RUN, "ratio, 0 to 1",
        "Arithmetic of the model per second as a share of what the device can do.");
    TOKEN_ACCURACY = Gauge("begat_stage_mean_token_accuracy_ratio", RUN, "ratio, 0 to 1",
        "Tokens that the model found likeliest among those to be learned.");
    ENTROPY = Gauge("begat_stage_entropy_nats", RUN, "nats a token", "Mean entropy of the model's predictions.");
    ACCURACY = Gauge("begat_stage_preference_accuracy_ratio", RUN, "ratio, 0 to 1", "Pairs whose chosen answer scored higher, of the last step.");
    EVAL_ACCURACY = Gauge("begat_stage_eval_preference_accuracy_ratio", RUN, "ratio, 0 to 1",
        "Held-out pairs whose chosen answer scored higher, when it was last measured.");
    MARGIN = Gauge("begat_stage_reward_margin", RUN, "reward", "Mean reward of the chosen answers less that of the rejected ones.");
    CHOSEN = Gauge("begat_stage_reward_chosen", RUN, "reward", "Mean implicit reward of the chosen answers.");
    REJECTED = Gauge("begat_stage_reward_rejected", RUN, "reward", "Mean implicit reward of the rejected answers.");
    REWARD = Gauge("begat_stage_reward", RUN, "reward", "Mean score of completions by the reward model.");
    RLHF_REWARD = Gauge("begat_stage_rlhf_reward", RUN, "reward", "Mean score less the penalty for the KL.");
    KL = Gauge("begat_stage_kl_nats", RUN, "nats a sequence", "KL of the policy from its reference, a sequence's mean.");
    APPROXIMATE_KL = Gauge("begat_stage_approximate_kl_nats", RUN, "nats a token", "KL of the policy from the one that made the rollout, a token's mean.");
    CLIPPED = Gauge("begat_stage_clipped_ratio", RUN, "ratio, 0 to 1", "Tokens whose policy ratio was clipped.");
    VALUE_CLIPPED = Gauge("begat_stage_value_clipped_ratio", RUN, "ratio, 0 to 1", "Tokens whose value was clipped.");
    POLICY_LOSS = Gauge("begat_stage_policy_loss", RUN, "1", "PPO's policy loss, the mean of the last rollout's updates.");
    VALUE_LOSS = Gauge("begat_stage_value_loss", RUN, "reward squared", "PPO's value loss, the mean of the last rollout's updates.");
    IMPORTANCE = Gauge("begat_stage_importance_ratio", RUN, "ratio", "Mean ratio of the policy's probability to the rollout's.");
    KL_COEFFICIENT = Gauge("begat_stage_kl_coefficient", RUN, "reward a nat", "Weight of the KL in the reward.");
    LENGTH = Gauge("begat_stage_completion_length_tokens", RUN, "tokens", "Mean length of completions.");
    UNIQUE = Gauge("begat_stage_completions_unique_ratio", RUN, "ratio, 0 to 1", "Completions that are like no other of the same batch.");
    GOLD = Gauge("begat_stage_gold_score", RUN, "score, 0 to 1", "Mean score of sampled completions by the rule, which no reward model has seen.");
    GOLD_GREEDY = Gauge("begat_stage_gold_score_greedy", RUN, "score, 0 to 1", "Mean score of greedy completions by the rule.");
    WIN = Gauge("begat_stage_win_ratio", RUN, "ratio, 0 to 1", "Prompts on which the rule prefers the model's completion to its reference's; a tie counts for half.");
    REWARD_WIN = Gauge("begat_stage_reward_win_ratio", RUN, "ratio, 0 to 1",
        "Prompts on which the reward model prefers the model's completion to its reference's; a tie counts for half.");
    PARSES = Gauge("begat_stage_parses_ratio", RUN, "ratio, 0 to 1", "Completions that the rule's parser accepts.");
}

/// A metric of a journal.
pub(super) struct JournalMetric {
    /// Its name in the journal; `{K}` and the like stand for numbers or words.
    pub name: &'static str,
    /// What it is counted in.
    pub unit: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// The gauge that shows it.
    pub series: Option<&'static Family>,
}

/// The metrics of some kinds of stages.
pub(super) struct Section {
    /// The kinds, for people.
    pub stages: &'static str,
    /// Their metrics.
    pub metrics: &'static [JournalMetric],
}

/// With a gauge, whose unit and meaning it shares.
const fn shown(name: &'static str, series: &'static Family) -> JournalMetric {
    JournalMetric {
        name,
        unit: series.unit,
        meaning: series.help,
        series: Some(series),
    }
}

const fn plain(name: &'static str, unit: &'static str, meaning: &'static str) -> JournalMetric {
    JournalMetric {
        name,
        unit,
        meaning,
        series: None,
    }
}

/// Every metric of the built-in stages, and the names that any program may use for the same.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        stages: "pretrain, sft, reward, dpo; loss and grad_norm also ppo, one update each",
        metrics: &[
            shown("loss", &LOSS),
            shown("eval_loss", &EVAL_LOSS),
            shown("perplexity", &PERPLEXITY),
            shown("learning_rate", &LEARNING_RATE),
            shown("grad_norm", &GRAD_NORM),
            shown("tokens_per_second", &TOKENS_PER_SECOND),
            shown("mfu", &MFU),
            shown("mean_token_accuracy", &TOKEN_ACCURACY),
            shown("entropy", &ENTROPY),
            plain("epoch", "passes", "Passes over the training data."),
            plain(
                "num_tokens",
                "tokens",
                "Tokens trained on since the stage began.",
            ),
            plain(
                "eval_mean_token_accuracy",
                "ratio, 0 to 1",
                "The same accuracy on held-out data.",
            ),
            plain("eval_num_tokens", "tokens", "Tokens of the held-out data."),
        ],
    },
    Section {
        stages: "reward",
        metrics: &[
            shown("accuracy", &ACCURACY),
            shown("eval_accuracy", &EVAL_ACCURACY),
            shown("margin", &MARGIN),
            shown("mean_reward", &REWARD),
            plain(
                "min_reward",
                "reward",
                "Lowest score of the step's answers.",
            ),
            plain(
                "max_reward",
                "reward",
                "Highest score of the step's answers.",
            ),
            plain("eval_pairs", "pairs", "Held-out pairs."),
            plain(
                "eval_accuracy_{STRENGTH}",
                "ratio, 0 to 1",
                "Accuracy on held-out pairs of one strength: significantly, better, slightly, negligibly.",
            ),
            plain(
                "eval_pairs_{STRENGTH}",
                "pairs",
                "Held-out pairs of that strength.",
            ),
            plain(
                "eval_dataset_{NAME}",
                "as `eval_{NAME}`",
                "The same of the dataset's own held-out split, where there is another set beside it.",
            ),
        ],
    },
    Section {
        stages: "dpo",
        metrics: &[
            shown("rewards/accuracies", &ACCURACY),
            shown("eval_rewards/accuracies", &EVAL_ACCURACY),
            shown("rewards/margins", &MARGIN),
            shown("rewards/chosen", &CHOSEN),
            shown("rewards/rejected", &REJECTED),
            plain(
                "logps/{SIDE}",
                "nats a sequence",
                "Mean log-probability of the chosen or the rejected answers.",
            ),
            plain("logits/{SIDE}", "1", "Mean logit of their tokens."),
            plain(
                "eval_rewards/chosen",
                "reward",
                "Mean implicit reward of held-out chosen answers.",
            ),
            plain(
                "eval_rewards/rejected",
                "reward",
                "Mean implicit reward of held-out rejected answers.",
            ),
            plain(
                "eval_rewards/margins",
                "reward",
                "The difference of the two.",
            ),
            plain(
                "eval_logps/{SIDE}",
                "nats a sequence",
                "Mean log-probability of held-out chosen or rejected answers.",
            ),
        ],
    },
    Section {
        stages: "ppo, one rollout each",
        metrics: &[
            shown("objective/scores", &REWARD),
            shown("objective/rlhf_reward", &RLHF_REWARD),
            shown("objective/kl", &KL),
            shown("policy/approxkl_avg", &APPROXIMATE_KL),
            shown("policy/clipfrac_avg", &CLIPPED),
            shown("policy/entropy_avg", &ENTROPY),
            shown("loss/policy_avg", &POLICY_LOSS),
            shown("loss/value_avg", &VALUE_LOSS),
            shown("val/clipfrac_avg", &VALUE_CLIPPED),
            shown("val/ratio", &IMPORTANCE),
            shown("kl_coef", &KL_COEFFICIENT),
            shown("completions/mean_length", &LENGTH),
            shown("completions/unique", &UNIQUE),
            shown("eps", &EPISODES_PER_SECOND),
            shown("lr", &LEARNING_RATE),
            plain("value_lr", "1", "Learning rate of the value model."),
            plain("episode", "episodes", "Episodes since the stage began."),
            plain(
                "objective/entropy",
                "nats a sequence",
                "Negative log-probability of the rollout's completions, a sequence's mean.",
            ),
            plain(
                "objective/non_score_reward",
                "reward",
                "The penalty for the KL, a sequence's mean.",
            ),
            plain(
                "val/num_eos_tokens",
                "tokens",
                "Completions of the rollout that ended by themselves.",
            ),
            plain(
                "val/ratio_var",
                "1",
                "Variance of the ratio over the rollout's updates.",
            ),
            plain(
                "val/ratio_not_one",
                "tokens",
                "Tokens of an update whose ratio is not exactly 1: 0 before a rollout's first change of the policy.",
            ),
            plain(
                "loss/ptx_avg",
                "nats a token",
                "Loss on the pretraining texts that are mixed in.",
            ),
        ],
    },
    Section {
        stages: "evaluate; `{NAME}_low` and `{NAME}_high` are the ends of the figure's 95 % interval",
        metrics: &[
            shown("gold_score", &GOLD),
            shown("gold_score_greedy", &GOLD_GREEDY),
            shown("win_rate_gold", &WIN),
            shown("win_rate_reward", &REWARD_WIN),
            shown("reward_mean", &REWARD),
            shown("parses", &PARSES),
            shown("unique", &UNIQUE),
            shown("mean_length", &LENGTH),
            shown("kl", &KL),
            plain(
                "kl_k3",
                "nats a sequence",
                "The same KL by another estimate, which is never negative.",
            ),
            plain(
                "ended",
                "ratio, 0 to 1",
                "Completions that ended by themselves.",
            ),
            plain(
                "gold_score_constant",
                "score, 0 to 1",
                "The rule's score of one fixed answer to every prompt: what is worth nothing.",
            ),
            plain(
                "{JUDGE}_difference",
                "score or reward",
                "Mean score of the model less its reference's, by the rule (gold) or the reward model (reward).",
            ),
            plain(
                "ties_{JUDGE}",
                "ratio, 0 to 1",
                "Prompts on which the two are equal.",
            ),
            plain(
                "{NAME}_greedy",
                "as `{NAME}`",
                "The same of greedy completions.",
            ),
            plain(
                "reference_{NAME}",
                "as `{NAME}`",
                "The same of the reference's completions.",
            ),
        ],
    },
    Section {
        stages: "rejection_sampling",
        metrics: &[
            plain(
                "reward_best",
                "reward",
                "Mean over prompts of the best sample's reward.",
            ),
            plain(
                "reward_worst",
                "reward",
                "Mean over prompts of the worst sample's reward.",
            ),
            plain(
                "kept_reward",
                "reward",
                "Mean reward of the samples that are kept.",
            ),
            plain(
                "kept_gold_score",
                "score, 0 to 1",
                "Mean score of the samples that are kept, by the rule.",
            ),
            plain(
                "gold_score_oracle",
                "score, 0 to 1",
                "Mean over prompts of the best score by the rule.",
            ),
            plain(
                "{NAME}_best_of_{K}",
                "as `{NAME}`",
                "Expected score of the sample that the reward model chooses among K, for reward and gold_score.",
            ),
            plain(
                "{NAME}_gain_of_{K}",
                "as `{NAME}`",
                "Its difference from one sample's.",
            ),
        ],
    },
    Section {
        stages: "annotate",
        metrics: &[
            plain(
                "score",
                "score",
                "Mean score of the candidates by the labeller.",
            ),
            plain(
                "gap",
                "score",
                "Mean difference of the two scores of a pair.",
            ),
            plain(
                "chosen_longer",
                "ratio, 0 to 1",
                "Pairs whose chosen answer is the longer one.",
            ),
            plain(
                "chosen_shorter",
                "ratio, 0 to 1",
                "Pairs whose chosen answer is the shorter one.",
            ),
            plain(
                "agreement",
                "ratio, 0 to 1",
                "Pairs on which labeller and rule agree, where neither finds a tie.",
            ),
        ],
    },
    Section {
        stages: "tokenizer",
        metrics: &[
            plain("vocabulary_size", "tokens", "Tokens of the vocabulary."),
            plain(
                "bytes_per_token",
                "bytes",
                "Bytes of held-out text that a token stands for in the mean.",
            ),
        ],
    },
    Section {
        stages: "any program (kind command)",
        metrics: &[shown("reward", &REWARD), shown("win_rate", &WIN)],
    },
];

/// The gauges with the names that they show, the first that a run has.
pub(super) fn gauges() -> Vec<(&'static Family, Vec<&'static str>)> {
    let all = SECTIONS.iter().flat_map(|section| section.metrics);
    let mut gauges: Vec<(&'static Family, Vec<&'static str>)> = Vec::new();
    for metric in all {
        let Some(series) = metric.series else {
            continue;
        };
        match gauges
            .iter_mut()
            .find(|(family, _)| family.name == series.name)
        {
            Some((_, names)) => names.push(metric.name),
            None => gauges.push((series, vec![metric.name])),
        }
    }
    gauges
}
