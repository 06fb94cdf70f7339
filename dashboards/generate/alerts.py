"""Alerts. Each has a section of its name in RUNBOOKS.md; `critical` is worth waking someone, `warning` is for later.

Joins are on (instance, run): two daemons may have a run of the same id, since an id says what is computed.
"""

RECIPES = "{{ range query (printf \"begat_launch_run_info{run='%s'}\" $labels.run) }} {{ .Labels.recipe }}{{ end }}"
RUN = "run {{ $labels.run }} (stage {{ $labels.stage }})"
RUNNING = 'and on (instance, run) begat_run_state{state="running"} == 1'


def alert(name, severity, wait, expr, summary, description, board="begat-run"):
    link = f"/d/{board}?var-run={{{{ $labels.run }}}}" if board == "begat-run" else f"/d/{board}"
    return {
        "alert": name,
        "expr": expr.strip(),
        "for": wait,
        "labels": {"severity": severity},
        "annotations": {
            "summary": summary,
            "description": description,
            "dashboard": link,
            "runbook": f"dashboards/RUNBOOKS.md#{name.lower()}",
        },
    }


def rose(name, labels, window):
    """A counter rose, or came into being above zero, within the window."""
    series = f"{name}{{{labels}}}" if labels else name
    return f"increase({series}[{window}]) > 0\nor ({series} > 0 unless {series} offset {window})"


def groups(d):
    parts = [
        ("begat-runs", runs(d)),
        ("begat-training", training(d)),
        ("begat-devices", devices(d)),
        ("begat-store", store(d)),
        ("begat-daemon", daemon(d)),
    ]
    return [{"name": name, "interval": d("15s"), "rules": rules} for name, rules in parts]


def runs(d):
    silent = "time() - (begat_stage_last_event_timestamp_seconds or begat_stage_started_timestamp_seconds)"
    pace = "begat_stage_step_seconds or begat_stage_started_timestamp_seconds * 0"
    return [
        alert(
            "BegatRunFailed",
            "critical",
            "0s",
            'begat_run_state{state="failed"} == 1',
            f"{RUN} failed".capitalize(),
            f"Recipes:{RECIPES}. `begat show {{{{ $labels.run }}}}` says why, "
            f"`begat logs {{{{ $labels.run }}}}` what it "
            "wrote. Stages that need its output will not start.",
        ),
        alert(
            "BegatStageStalled",
            "critical",
            d("1m"),
            f"{silent}\n> clamp_min(30 * ({pace}), {d.seconds('10m')})\n{RUNNING}",
            f"{RUN} makes no progress".capitalize(),
            "Nothing was written into its journal for {{ $value | humanizeDuration }}, more than the time of 30 steps. "
            f"It holds its device. Recipes:{RECIPES}.",
        ),
        alert(
            "BegatRunVanished",
            "critical",
            d("1m"),
            f'last_over_time(begat_run_state{{state="running"}}[{d("4m")}])\n'
            'unless on (instance, run) begat_run_state\nand on (instance) up{job="begatd"} == 1',
            f"{RUN} vanished".capitalize(),
            "The daemon answers and no longer shows a run that ran minutes ago and did not end. Its state was lost.",
        ),
    ]


def training(d):
    def moved(name, compare):
        recorded = f"instance_run_stage:{name}:avg10m"
        return f"{recorded} {compare} {recorded} offset {d('30m')}"

    def measured(name):
        return f'begat_stage_metric{{metric="{name}"}}'

    no_number = " or\n".join(
        f"({name} != {name} or abs({name}) == Inf)" for name in ("begat_stage_loss", "begat_stage_eval_loss")
    )
    loss = "instance_run_stage:begat_stage_loss:avg10m"
    return [
        alert(
            "BegatLossNotANumber",
            "critical",
            "0s",
            no_number,
            f"The loss of {RUN} is {{{{ $value }}}}",
            f"Nothing it does from here on is of use. Recipes:{RECIPES}.",
        ),
        alert(
            "BegatLossRising",
            "warning",
            d("10m"),
            f"{loss} > 1.3 * (min_over_time({loss}[{d('6h')}]) > 0)\n{RUNNING}\n"
            'and on (instance, run) begat_run_info{kind!="ppo"}',
            f"The loss of {RUN} rises",
            "Its mean over 10 minutes is {{ $value | humanize }}, 30 % above the lowest such mean of six hours.",
        ),
        alert(
            "BegatKlTooHigh",
            "warning",
            d("10m"),
            f"avg_over_time(begat_stage_kl_nats[{d('10m')}]) > 10\n{RUNNING}\n"
            'and on (instance, run) begat_run_info{kind="ppo"}',
            f"{RUN} has left its reference".capitalize(),
            "KL of a whole answer is {{ $value | humanize }} nats; neither samples nor reward can be trusted.",
        ),
        alert(
            "BegatRewardHackingJudged",
            "warning",
            "0s",
            f"{measured('reward_difference_low')} > 0\nand on (instance, run) {measured('gold_difference_high')} < 0",
            f"The model judged by {RUN} pleases the reward model, not the gold rule",
            "Against its reference on the same prompts the reward model finds it better, "
            "the gold score finds it worse, each beyond a 95 % interval.",
        ),
        alert(
            "BegatRewardHackingTraining",
            "warning",
            d("10m"),
            f"{moved('begat_stage_reward', '>')}\nand on (instance, run) "
            f"{moved('begat_stage_gold_score', '< 0.95 *')}\n{RUNNING}",
            f"Reward rises and gold score falls in {RUN}",
            "In half an hour the reward model's score rose while the gold score fell by more than 5 %.",
        ),
        alert(
            "BegatCompletionLengthRunsOff",
            "warning",
            d("10m"),
            f"({moved('begat_stage_completion_length_tokens', '> 1.5 *')} or "
            f"{moved('begat_stage_completion_length_tokens', '< 0.5 *')})\nand on (instance, run) "
            f"{moved('begat_stage_reward', '>')}\n{RUNNING}",
            f"Answers of {RUN} change their length as the reward rises",
            "In half an hour the mean length went to {{ $value | humanize }} tokens, by half up or down.",
        ),
    ]


def devices(d):
    gpu = "GPU {{ $labels.gpu }} of {{ $labels.instance }}"
    busy = 'label_replace(begat_device_slots_busy{device=~"cuda:.+"} > 0, "gpu", "$1", "device", "cuda:(.+)")'
    return [
        alert(
            "BegatGpuIdle",
            "warning",
            d("10m"),
            f"avg_over_time(begat_gpu_utilization_ratio[{d('10m')}]) < 0.05\nand on (instance, gpu) {busy}",
            f"{gpu} idles while a stage holds it",
            "Utilisation is {{ $value | humanizePercentage }} over 10 minutes.",
            "begat-fleet",
        ),
        alert(
            "BegatGpuThrottled",
            "warning",
            d("5m"),
            'begat_gpu_throttled{reason=~"thermal|hardware_slowdown|power_brake"} == 1',
            f"{gpu} is throttled: {{{{ $labels.reason }}}}",
            "Its clocks are held down to protect it; training is slower.",
            "begat-fleet",
        ),
        alert(
            "BegatGpuErrors",
            "critical",
            "0s",
            rose("begat_gpu_xid_errors_total", "", d("15m"))
            + "\nor\n"
            + rose("begat_gpu_ecc_errors_total", 'type="uncorrected"', d("15m")),
            f"{gpu} reports errors",
            "XID {{ $labels.xid }} {{ $labels.type }}: results since then are in doubt.",
            "begat-fleet",
        ),
    ]


def store(d):
    free = 'begat_filesystem_free_bytes{folder="data"}'
    ratio = 'instance_folder:begat_filesystem_free:ratio{folder="data"}'
    disk = "The disk with the data folder of {{ $labels.instance }}"

    def full_in(hours, window, below):
        return f"predict_linear({free}[{d(window)}], {d.seconds(hours)}) < 0\nand {ratio} < {below}"

    return [
        alert(
            "BegatDiskFullIn24Hours",
            "warning",
            d("30m"),
            full_in("24h", "6h", 0.4),
            f"{disk} is full within a day",
            "At the pace of the last six hours.",
            "begat-store",
        ),
        alert(
            "BegatDiskFullIn4Hours",
            "critical",
            d("10m"),
            full_in("4h", "1h", 0.2),
            f"{disk} is full within four hours",
            "At the pace of the last hour.",
            "begat-store",
        ),
        alert(
            "BegatDiskFull",
            "critical",
            d("1m"),
            f"{ratio} < 0.05",
            f"{disk} is nearly full",
            "{{ $value | humanizePercentage }} is free. Stages that cannot write a checkpoint fail.",
            "begat-store",
        ),
        alert(
            "BegatStoreReadOnly",
            "critical",
            "0s",
            "begat_store_read_only == 1",
            "The store of {{ $labels.instance }} refuses writes",
            "An fsync failed. What was acknowledged before is safe; nothing new is taken until it is opened anew.",
            "begat-store",
        ),
        alert(
            "BegatFsckErrors",
            "critical",
            "0s",
            "begat_store_fsck_errors > 0",
            "The last check of {{ $labels.instance }} found {{ $value }} faults",
            "Bytes of the store are not what their digests say.",
            "begat-store",
        ),
        alert(
            "BegatReproductionDiffers",
            "critical",
            "0s",
            rose("begat_reproductions_total", 'verdict=~"different|corrupt"', d("15m")),
            "A reproduction on {{ $labels.instance }} came out {{ $labels.verdict }}",
            "A run made again did not have the same bits, or a stored output is not what was stored.",
            "begat-fleet",
        ),
    ]


def daemon(d):
    return [
        alert(
            "BegatDaemonDown",
            "critical",
            d("1m"),
            'up{job="begatd"} == 0',
            "begatd at {{ $labels.instance }} does not answer",
            "Stages that run go on; nothing new starts, and nobody sees what they do.",
            "begat-daemon",
        ),
        alert(
            "BegatDaemonMissing",
            "critical",
            d("5m"),
            'absent(up{job="begatd"})',
            "Prometheus knows no begatd",
            "It scrapes none: its list of targets is empty or cannot be read.",
            "begat-daemon",
        ),
        alert(
            "BegatScrapeSlow",
            "warning",
            d("10m"),
            'scrape_duration_seconds{job="begatd"} > 2',
            "{{ $labels.instance }} takes {{ $value | humanizeDuration }} to answer a scrape",
            "The daemon, its host or its disk is overloaded, or it shows far too many series.",
            "begat-daemon",
        ),
        alert(
            "BegatApiErrors",
            "warning",
            d("5m"),
            "instance:begat_http_errors:ratio_rate5m > 0.05",
            "{{ $value | humanizePercentage }} of the answers of {{ $labels.instance }} are errors",
            "Its log has the details.",
            "begat-daemon",
        ),
        alert(
            "BegatJournalFaults",
            "warning",
            "0s",
            rose("begat_journal_faults_total", "", d("15m")),
            "{{ $labels.instance }} reads lines of a journal that make no sense",
            "A stage, most likely a program of your own, writes what is no event.",
            "begat-daemon",
        ),
    ]
