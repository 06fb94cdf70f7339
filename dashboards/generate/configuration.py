"""The configuration of Prometheus and Alertmanager."""


def prometheus(d):
    return {
        "global": {"scrape_interval": d("15s"), "scrape_timeout": d("10s"), "evaluation_interval": d("15s")},
        "rule_files": ["rules/*.yml"],
        "alerting": {"alertmanagers": [{"file_sd_configs": [{"files": ["targets/alertmanager.yml"]}]}]},
        "scrape_configs": [
            {"job_name": "begatd", "file_sd_configs": [{"files": ["targets/begatd.yml"]}]},
        ],
    }


def alertmanager(d):
    webhook = {
        "url": "http://127.0.0.1:9095/",
        "send_resolved": True,
        "http_config": {"authorization": {"type": "Bearer", "credentials_file": "webhook_token"}},
    }
    down = {
        "source_matchers": ["alertname = BegatDaemonDown"],
        "equal": ["instance"],
        "target_matchers": ["alertname =~ Begat.+", "alertname != BegatDaemonDown"],
    }
    hours = {
        "source_matchers": ["alertname = BegatDiskFullIn4Hours"],
        "equal": ["instance"],
        "target_matchers": ["alertname = BegatDiskFullIn24Hours"],
    }
    return {
        "route": {
            "receiver": "on-call",
            "group_by": ["alertname", "instance"],
            "group_wait": d("30s"),
            "group_interval": d("5m"),
            "repeat_interval": d("4h"),
            "routes": [{"matchers": ["severity = warning"], "receiver": "on-call", "repeat_interval": d("24h")}],
        },
        "inhibit_rules": [down, hours],
        "receivers": [{"name": "on-call", "webhook_configs": [webhook]}],
    }
