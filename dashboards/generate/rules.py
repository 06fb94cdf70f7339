"""Recording rules: what several boards and alerts ask for, computed once. Named level:metric:operations."""


def group(d):
    return {"name": "begat", "interval": d("30s"), "rules": [{"record": name, "expr": expr} for name, expr in recorded(d)]}


def recorded(d):
    work = {
        "instance_run_stage:begat_stage_progress:ratio": "begat_stage_step / (begat_stage_steps_planned > 0)",
        "instance_run_stage:begat_stage_remaining_seconds:estimate":
            "(begat_stage_steps_planned - begat_stage_step) * begat_stage_step_seconds\n"
            'and on (instance, run) begat_run_state{state="running"}',
        "instance_run_stage:begat_stage_loss:avg10m": f"avg_over_time(begat_stage_loss[{d('10m')}])",
        "instance_run_stage:begat_stage_reward:avg10m": f"avg_over_time(begat_stage_reward[{d('10m')}])",
        "instance_run_stage:begat_stage_gold_score:avg10m": f"avg_over_time(begat_stage_gold_score[{d('10m')}])",
        "instance_run_stage:begat_stage_completion_length_tokens:avg10m":
            f"avg_over_time(begat_stage_completion_length_tokens[{d('10m')}])",
        "instance:begat_http_errors:ratio_rate5m":
            f'(sum by (instance, job) (rate(begat_http_requests_total{{status=~"5.."}}[{d("5m")}])) or up{{job="begatd"}} * 0)\n'
            f"/ (sum by (instance, job) (rate(begat_http_requests_total[{d('5m')}])) > 0)",
        "instance_folder:begat_filesystem_free:ratio": "begat_filesystem_free_bytes / begat_filesystem_size_bytes",
    }
    return work.items()
