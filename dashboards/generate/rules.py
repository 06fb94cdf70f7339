"""Recording rules: what several boards and alerts ask for, computed once. Named level:metric:operations."""


def group(d):
    rules = [{"record": name, "expr": expr} for name, expr in recorded(d)]
    return {"name": "begat", "interval": d("30s"), "rules": rules}


def recorded(d):
    """Name and expression of each."""
    yield "instance_run_stage:begat_stage_progress:ratio", "begat_stage_step / (begat_stage_steps_planned > 0)"
    remaining = "(begat_stage_steps_planned - begat_stage_step) * begat_stage_step_seconds"
    running = 'and on (instance, run) begat_run_state{state="running"}'
    yield "instance_run_stage:begat_stage_remaining_seconds:estimate", f"{remaining}\n{running}"
    for name in ("loss", "reward", "gold_score", "completion_length_tokens"):
        yield f"instance_run_stage:begat_stage_{name}:avg10m", f"avg_over_time(begat_stage_{name}[{d('10m')}])"
    yield "instance:begat_http_errors:ratio_rate5m", errors(d("5m"))
    free = "begat_filesystem_free_bytes / begat_filesystem_size_bytes"
    yield "instance_folder:begat_filesystem_free:ratio", free


def errors(window):
    """Answers with a 5xx status, as a share; 0 where there was none."""
    failed = f'sum by (instance, job) (rate(begat_http_requests_total{{status=~"5.."}}[{window}]))'
    answered = f"sum by (instance, job) (rate(begat_http_requests_total[{window}]))"
    return f'({failed} or up{{job="begatd"}} * 0)\n/ ({answered} > 0)'
