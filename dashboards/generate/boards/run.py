"""One run: how far it is, its curves, where its time goes, and what its kind of stage measures besides."""

import grafana as g
from board import DAEMON, board as assemble, recipe, row, variables
from boards import marks
from grafana import Query

RUN = f'{DAEMON},run=~"$run"'
NONE = "Nothing of this run"
COMMANDS = """
```
begat show $run      # what, and how
begat logs -f $run   # what it writes
begat metrics $run   # every figure
begat lineage $run   # its ancestors
begat reproduce $run # make it again
```
"""


def board():
    items = [
        row("Run $run"),
        *((panel, 3, 4) for panel in stats()),
        (g.text("In a terminal", COMMANDS), 8, 8),
        (phases(), 16, 8),
        row("Every training stage"),
        *((panel, 8, 8) for panel in training()),
        row("Preferences (reward, dpo)"),
        *((panel, 8, 8) for panel in preferences()),
        row("Reinforcement learning (ppo)"),
        *((panel, 8, 8) for panel in reinforcement()),
        row("Judged (evaluate, annotate, rejection_sampling)"),
        *((panel, 8, 8) for panel in judged()),
        row("Cost"),
        *((panel, 8, 8) for panel in cost()),
        (steps(), 12, 8),
        (others(), 12, 8),
    ]
    annotations = [marks.starts(RUN), marks.checkpoints(RUN), marks.failures(RUN)]
    return assemble(
        "begat-run",
        "begat / Run",
        "Curves of one run, by kind of stage.",
        items,
        variables(recipe(), stage(), run()),
        annotations,
    )


def stage():
    return g.variable(
        "stage",
        "Stage",
        f"label_values(begat_run_info{{{DAEMON}}}, stage)",
        description="Only the runs of these stages.",
    )


def run():
    """The runs of the time shown, finished ones too; a run is shown with its stage's name."""
    info = f'last_over_time(begat_run_info{{{DAEMON},stage=~"$stage"}}[$__range])'
    launches = f'last_over_time(begat_launch_run_info{{{DAEMON},recipe=~"$recipe"}}[$__range])'
    both = f"max by (run, stage) ({info} and on (instance, run) {launches})"
    query = f'query_result(label_join({both}, "what", " ", "stage", "run"))'
    return g.variable(
        "run",
        "Run",
        query,
        multi=False,
        regex='/run="(?<value>[^"]+)".*what="(?<text>[^"]+)"/',
        description="The run that the board shows.",
    )


def last(name):
    return f"last_over_time({name}{{{RUN}}}[$__range])"


def stats():
    age = f"time() - {last('begat_stage_last_event_timestamp_seconds')}"
    took = f"{last('begat_stage_last_event_timestamp_seconds')} - {last('begat_stage_started_timestamp_seconds')}"
    return [
        g.stat(
            "State",
            "How the run stands, as long as the daemon shows it: a while after its end its series leave.",
            "short",
            f"begat_run_state{{{RUN}}}",
            legend="{{state}}",
            text_mode="name",
            empty="No longer shown",
        ),
        g.stat(
            "Done",
            "Steps done, as a share of the steps planned.",
            "percentunit",
            f"{last('begat_stage_step')} / {last('begat_stage_steps_planned')}",
            min=0,
            max=1,
        ),
        g.stat(
            "Time left",
            "At the pace of the last interval.",
            "s",
            f"instance_run_stage:begat_stage_remaining_seconds:estimate{{{RUN}}}",
            only="live",
        ),
        g.stat("Took", "From its start to its last event.", "s", took),
        g.stat("Silent for", "Time since it last wrote into its journal; of a finished run, since its end.", "s", age),
        g.stat("Last loss", "Of the last step.", "short", last("begat_stage_loss"), decimals=4),
        g.stat(
            "Tokens",
            "Consumed so far; steps done again after a crash count once.",
            "short",
            last("begat_stage_tokens_total"),
        ),
        g.stat(
            "Energy", "Of the GPU, while the run had it.", "joule", last("begat_stage_energy_joules_total"), only="gpu"
        ),
    ]


def curve(title, meaning, unit, *series, **more):
    """A panel of gauges of the run: (name, legend) each. Not every kind of stage has every figure."""
    queries = [Query(f"{name}{{{RUN}}}", legend) for name, legend in series]
    return g.graph(title, meaning, unit, queries, empty=NONE, **more)


def rate(name, labels=""):
    return f"rate({name}{{{RUN}{labels}}}[$__rate_interval])"


def phases():
    return g.graph(
        "Where the time goes",
        "Seconds per second by phase; what is missing to 1 is not measured.",
        "percentunit",
        [Query(f"sum by (phase) ({rate('begat_stage_phase_seconds_total')})", "{{phase}}")],
        stack=True,
        empty=NONE,
    )


def training():
    return [
        curve(
            "Loss",
            "Of training steps, and on held-out data when it was last measured. A NaN is a hole in the curve.",
            "short",
            ("begat_stage_loss", "training"),
            ("begat_stage_eval_loss", "held out"),
        ),
        curve(
            "Perplexity",
            "Exponential of the loss per token.",
            "short",
            ("begat_stage_perplexity", "{{stage}}"),
            log=True,
        ),
        curve(
            "Gradient norm",
            "Before clipping. Spikes come before a loss that runs away.",
            "short",
            ("begat_stage_grad_norm", "{{stage}}"),
            log=True,
        ),
        curve("Learning rate", "Of the last step.", "sci", ("begat_stage_learning_rate", "{{stage}}")),
        curve("Tokens per second", "Of the last interval.", "short", ("begat_stage_tokens_per_second", "{{stage}}")),
        curve(
            "Token accuracy",
            "Tokens that the model found likeliest, among those to be learned.",
            "percentunit",
            ("begat_stage_mean_token_accuracy_ratio", "{{stage}}"),
        ),
        curve(
            "Entropy",
            "Of the model's predictions, a mean. Towards 0 the model has stopped to explore.",
            "short",
            ("begat_stage_entropy_nats", "nats"),
        ),
        g.graph(
            "Model FLOPs utilisation",
            "Arithmetic of the model as a share of what the device can do.",
            "percentunit",
            [Query(f"begat_stage_model_flops_utilization_ratio{{{RUN}}}", "{{stage}}", only="gpu")],
            min=0,
            max=1,
        ),
        curve("Step time", "Mean of the last interval.", "s", ("begat_stage_step_seconds", "{{stage}}")),
    ]


def preferences():
    return [
        curve(
            "Preference accuracy",
            "Pairs in which the better answer scores higher, in training and held out.",
            "percentunit",
            ("begat_stage_preference_accuracy_ratio", "training"),
            ("begat_stage_eval_preference_accuracy_ratio", "held out"),
            min=0,
            max=1,
        ),
        curve(
            "Reward margin",
            "By how much the better answer's score is above the other's.",
            "short",
            ("begat_stage_reward_margin", "{{stage}}"),
        ),
        curve(
            "DPO's rewards",
            "Implicit reward of better and worse answers. Both falling is common; the gap is what counts.",
            "short",
            ("begat_stage_reward_chosen", "better"),
            ("begat_stage_reward_rejected", "worse"),
        ),
    ]


def reinforcement():
    return [
        curve(
            "Reward",
            "What the reward model says of the samples, and that less the KL penalty. Up is good only if the gold "
            "score agrees.",
            "short",
            ("begat_stage_reward", "reward model"),
            ("begat_stage_rlhf_reward", "less KL penalty"),
        ),
        curve(
            "KL from the reference",
            "Of a whole answer, in nats. Beyond about 10 the policy has left the data.",
            "short",
            ("begat_stage_kl_nats", "nats"),
            steps=g.thresholds((None, g.GREEN), (10, g.ORANGE), (20, g.RED)),
        ),
        curve(
            "Completion length",
            "Tokens of a sampled answer, a mean. Reward that comes with length alone is suspect.",
            "short",
            ("begat_stage_completion_length_tokens", "tokens"),
        ),
        curve(
            "Clipped",
            "Share of ratios that PPO clipped. Above 0.3 the updates are too large.",
            "percentunit",
            ("begat_stage_clipped_ratio", "policy"),
            ("begat_stage_value_clipped_ratio", "value"),
            steps=g.thresholds((None, g.GREEN), (0.3, g.ORANGE)),
        ),
        curve(
            "Approximate KL of updates",
            "Between the policy that sampled and the one just updated.",
            "short",
            ("begat_stage_approximate_kl_nats", "nats"),
        ),
        curve(
            "Losses",
            "Of policy and value function.",
            "short",
            ("begat_stage_policy_loss", "policy"),
            ("begat_stage_value_loss", "value"),
        ),
        curve(
            "Importance ratio",
            "Mean ratio of new to old probability; far from 1 is a bug or a too large update.",
            "short",
            ("begat_stage_importance_ratio", "{{stage}}"),
        ),
        curve("KL coefficient", "The weight of the KL penalty.", "short", ("begat_stage_kl_coefficient", "{{stage}}")),
        curve(
            "Episodes per second",
            "Answers sampled, scored and learned from.",
            "short",
            ("begat_stage_episodes_per_second", "{{stage}}"),
        ),
    ]


def judged():
    return [
        curve(
            "Gold score",
            "By a rule that no reward model saw; sampled and greedy.",
            "percentunit",
            ("begat_stage_gold_score", "sampled"),
            ("begat_stage_gold_score_greedy", "greedy"),
            min=0,
            max=1,
        ),
        curve(
            "Win rate",
            "Against the reference on the same prompts; a tie counts for half.",
            "percentunit",
            ("begat_stage_win_ratio", "by the rule"),
            ("begat_stage_reward_win_ratio", "by the reward model"),
            min=0,
            max=1,
        ),
        curve(
            "Form",
            "Answers that parse, and answers that are unique. Few unique ones are a collapse.",
            "percentunit",
            ("begat_stage_parses_ratio", "parse"),
            ("begat_stage_completions_unique_ratio", "unique"),
            min=0,
            max=1,
        ),
    ]


def cost():
    return [
        g.graph(
            "Processors",
            "Processors that the stage's processes used.",
            "short",
            [Query(rate("begat_stage_cpu_seconds_total"), "{{stage}}")],
            min=0,
            empty=NONE,
        ),
        curve("Memory", "Of the stage's processes.", "bytes", ("begat_stage_memory_bytes", "{{stage}}"), min=0),
        g.graph(
            "Power",
            "Energy of the GPU per second, while the run had it.",
            "watt",
            [Query(rate("begat_stage_energy_joules_total"), "{{stage}}", only="gpu")],
        ),
        g.graph(
            "Samples per second",
            "Rows of the dataset, or episodes.",
            "short",
            [Query(rate("begat_stage_samples_total"), "{{stage}}")],
            empty=NONE,
        ),
        curve(
            "Journal lag",
            "Bytes that the stage has written and the daemon not yet read. A stage never waits for that.",
            "bytes",
            ("begat_stage_journal_lag_bytes", "{{stage}}"),
        ),
        g.graph(
            "Tokens per second, counted",
            "From the counter: what really came through, pauses and repeats included.",
            "short",
            [Query(rate("begat_stage_tokens_total"), "{{stage}}")],
            empty=NONE,
        ),
    ]


def steps():
    bucket = f'begat_stage_step_duration_seconds_bucket{{{DAEMON},stage=~"$stage"}}'
    wait = f"sum by (stage, le) (rate({bucket}[$__rate_interval]))"
    return g.graph(
        "Step times of the chosen stages",
        "Of all runs of the stage: half of the steps took less, 99 of 100 took "
        "less. A point is a slow step; it names its run.",
        "s",
        [
            Query(f"histogram_quantile(0.5, {wait})", "{{stage}} half"),
            Query(f"histogram_quantile(0.99, {wait})", "{{stage}} 99 of 100", exemplar=True),
        ],
        empty=NONE,
        legend="right",
    )


def others():
    return g.graph(
        "Other figures",
        "What the journal has besides, by name; of a program of yours, whatever it writes.",
        "short",
        [Query(f"begat_stage_metric{{{RUN}}}", "{{metric}}")],
        empty=NONE,
    )
