"""Data for every kind of card: empty, typical, and an enormous one full of what people should not be able to do."""

from __future__ import annotations

from typing import Any

from storage.records import Decision, Proposal, ProposalKind, Tenant

TENANT = Tenant("", "T0SANDBOX")
HOSTILE = "<!channel> <@U0ADA> *_~`</script> & " + "x" * 700
MANY = 400


def hierarchy(wide: int, name: str) -> list[dict[str, Any]]:
    leaf = {"id": "a", "name": name, "description": name, "keywords": [name], "children": []}
    return [
        {**leaf, "id": f"t{i}", "children": [{**leaf, "id": f"t{i}/{j}"} for j in range(min(wide, 12))]}
        for i in range(wide)
    ]


def distribution(number: int, name: str) -> list[dict[str, Any]]:
    return [
        {
            "topic": f"t{i}",
            "name": name,
            "count": 10 * i,
            "percentage": 100 / number,
            "target": 10.0,
            "gap": 1.0,
            "status": "under",
        }
        for i in range(number)
    ]


def samples(number: int, text: str) -> list[dict[str, Any]]:
    return [
        {
            "prompt": text,
            "response": text,
            "score": None if i % 3 == 2 else i / number,
            "reasoning": text,
            "error": text,
            "parts": {text: 0.5},
        }
        for i in range(number)
    ]


def events(number: int, text: str) -> dict[str, dict[str, Any]]:
    """Every outbox kind's data with `number` of everything that repeats, made of `text`."""
    rows = [{"text": text, "topic": text, "persona": text, "seed": text} for _ in range(number)]
    codes = {f"code_{i}_{text}": 10 for i in range(number)}
    cover = {
        "balance_score": 0.45,
        "rating": "fair",
        "min_max_ratio": 0.1,
        "distribution": distribution(number, text),
        "under_represented": [text] * number,
        "recommendations": [
            {
                "topic": text,
                "action": "generate",
                "reason": text,
                "suggested_count": 50,
                "strategy": "few_shot",
            }
            for _ in range(number)
        ],
        "uncategorized_count": 3,
        "ready": False,
        "not_ready_because": [text] * number,
    }
    return {
        "prose": {"text": f"**{text}** " * number, "feedback": True},
        "notice": {
            "text": "Something to know. " * number,
            "level": "warning",
            "buttons": [{"text": text, "action": f"go.{i}", "value": "v"} for i in range(number)],
        },
        "progress": {
            "task_id": "t1",
            "title": text,
            "status": "running",
            "done": 3,
            "total": number,
            "label": text,
        },
        "overview": {
            "name": text,
            "file_name": text,
            "format": "jsonl",
            "shape": "chat",
            "columns_kept": [text] * number,
            "goal": text,
            "hygiene": {
                "total": 500,
                "valid": 487,
                "rejected": 13,
                "rate": 0.026,
                "health": "healthy",
                "counts": codes,
                "first_lines": {code: list(range(50)) for code in codes},
                "mend": dict.fromkeys(codes, text),
                "duplicates": 2,
                "near_duplicates": 1,
                "recommendations": [text] * number,
            },
            "statistics": {
                "rows": 500,
                "average_turns": 1.5,
                "average_input_tokens": 20,
                "multi_turn_share": 0.3,
                "tools": [text] * number,
            },
            "typical": rows,
            "tokens_by": "estimated",
        },
        "categorised": {
            "assigned_count": 480,
            "low_confidence_count": 64,
            "uncategorized_count": 7,
            "by_topic": {
                f"t{i}": {"name": text, "count": i, "average_confidence": 0.8, "band": "high"}
                for i in range(number)
            },
            "by_method": {"keyword": 300, "llm": 100},
            "tokens": {"llm": 1200},
        },
        "coverage": cover,
        "preview": {"strategy": "few_shot", "rows": rows, "rejected": codes},
        "generated": {
            "asked": 30,
            "generated": 30,
            "kept": 27,
            "rejected": {"near_duplicate": 3, **codes},
            "by_topic": {f"t{i}": 3 for i in range(number)},
            "balance_before": 0.4,
            "balance_after": 0.6,
            "partial": False,
            "coverage": cover,
        },
        "grader_test": {
            "grader_version": 2,
            "samples": samples(number, text),
            "mean": 0.5,
            "std": 0.1,
            "min": 0.1,
            "max": 0.9,
            "errors": 1,
        },
        "viability": {"mean": 0.2, "verdict": "viable", "samples": samples(number, text)},
        "uploaded": {
            "backend_dataset_id": text,
            "record_count": 514,
            "train_count": 463,
            "validation_count": 51,
            "has_evaluator": True,
        },
        "dry_run": {
            "verdict": "NO-GO",
            "statistics": {
                "n": 50,
                "mean": 0.2,
                "std": 0.1,
                "min": 0.0,
                "max": 1.0,
                "median": 0.2,
                "above_zero": 0.9,
                "perfect": 0.1,
                "errors": 2,
            },
            "ranges": {
                "mean": [0.25, 0.65],
                "std": [0.1, 0.25],
                "above_zero": [0.2, None],
                "perfect": [None, 0.3],
            },
            "buckets": [10, 20, 10, 5, 5],
            "by_topic": [
                {"topic": "t", "name": text, "mean": 0.2, "std": 0.1, "count": 9, "status": "problem"}
                for _ in range(number)
            ],
            "findings": [
                {"code": "too_hard", "message": text, "severity": "error", "subject": "dataset"}
                for _ in range(number)
            ],
            "quality": {"dataset": "attention", "grader": "good"},
            "samples": {"highest": samples(number, text), "lowest": samples(number, text)},
            "compared": {
                "change": -0.01,
                "trend": "stalled",
                "interval": [-0.05, 0.03],
                "within_noise": True,
            },
            "next": "iterate",
            "options": [{"text": text}] * number,
            "may_override": True,
            "grader_version": 2,
            "dataset_version": 3,
        },
        "training_started": {
            "job_id": text,
            "base_model": text,
            "method": "reinforcement",
            "train_count": 463,
            "hyperparameters": {f"{text}{i}": i for i in range(number)},
        },
        "training_done": {
            "job_id": "j",
            "status": "completed",
            "model": text,
            "requester": "U0ADA",
            "before": 0.5,
            "after": 0.7,
            "change": 0.2,
            "significant": True,
            "interval": [0.1, 0.3],
            "by_topic": [
                {"topic": "t", "name": text, "before": 0.5, "after": 0.4, "worse": True, "count": 9}
                for _ in range(number)
            ],
            "by_criterion": [{"name": text, "before": 0.5, "after": 0.6} for _ in range(number)],
            "curve": [
                {"step": i, "train": i / number, "valid": None if i % 2 else 0.5} for i in range(number)
            ],
            "pattern": "improving",
            "best_checkpoint": text,
            "next": text,
            "synthetic_validation": True,
            "leakage": text,
        },
        "deployed": {
            "model_id": text,
            "endpoint": text,
            "mode": "new_endpoint",
            "deployed_at": 1e9,
            "example_request": text * number,
        },
        "tried": {
            "prompt": text * 5,
            "base": {"model": text, "text": text * 9, "score": 0.4},
            "tuned": {"model": text, "text": text * 9},
        },
        "export": {"file_name": text, "rows": 514, "link": "https://example.org/x"},
        "status": {
            "workflow": {
                "id": "w",
                "name": text,
                "goal": text,
                "owner": "U0ADA",
                "step": "dry_run",
                "percent": 43,
            },
            "pipeline": [
                {
                    "title": text,
                    "status": status,
                    "text": text,
                    "done": 3,
                    "total": 9,
                    "blocked": [text] * number,
                    "can_rerun": True,
                }
                for status in ("complete", "skipped", "processing", "attention", "failed", "ready", "waiting")
            ],
            "balance_score": 0.5,
            "jobs": [
                {"id": f"t{i}", "operation": text, "status": "running", "done": 1, "total": 2}
                for i in range(number)
            ],
            "proposals": [{"title": text}] * number,
            "last_activity": 1e9,
            "last_what": text,
            "next": text,
        },
        "workflows": {
            "title": text,
            "workflows": [
                {
                    "name": text,
                    "step": "dry_run",
                    "percent": 40,
                    "owner": "U0ADA",
                    "updated_at": 1e9,
                    "link": "https://x.example/a",
                }
            ]
            * number,
        },
        "review": {
            "workflow_id": "w",
            "records": [
                {"id": f"r{i}" + "y" * 300 * (number > 50), "text": text, "topic": f"t{i}", "confidence": 0.4}
                for i in range(number)
            ],
            "topics": [{"id": f"t{i}", "name": text} for i in range(number)],
            "cursor": "8",
            "left": number,
        },
        "help": {"unknown": text},
    }


PAYLOADS: dict[ProposalKind, Any] = {
    "topics": lambda n, t: {
        "hierarchy": hierarchy(min(n, 60), t),
        "method": "auto",
        "changes": [t] * n,
        "loses": {f"{t}{i}": 5 for i in range(n)},
    },
    "generation": lambda n, t: {
        "total": 30,
        "strategy": "few_shot",
        "plan": [{"topic": "a", "name": t, "count": 3}] * n,
        "balance": 0.4,
        "expected_balance": 0.7,
    },
    "grader": lambda n, t: {
        "kind": "llm_as_judge",
        "config": {
            "criteria": [{"name": t, "description": t, "weight": 1 / n}] * n,
            "model": t,
            "prompt": t * n,
        },
        "diff": [t] * n,
        "test": {"mean": 0.5, "std": 0.1, "errors": 0},
        "weaknesses": [{"attack": "flattery", "score": 0.6, "text": t}] * n,
        "warnings": [t] * n,
    },
    "training": lambda n, t: {
        "base_model": t,
        "method": "reinforcement",
        "rows": {"train": 463, "validation": 51},
        "hyperparameters": {f"{t}{i}": 1 for i in range(n)},
        "cost": {"low": 1.0, "high": 3.0, "ceiling": 3.0, "formula": t, "as_of": "2026-11-01"},
        "warnings": [t] * n,
    },
    "deployment": lambda n, t: {"mode": "new_endpoint", "model": t, "warnings": [t] * n},
    "skip": lambda n, t: {"step": "categorize", "title": t, "reason": t, "warning": t},
    "rollback": lambda n, t: {"to": "categorize", "step": t, "stale": [t] * n},
    "delete": lambda n, t: {"name": t, "rows": 500, "owns": [t] * n},
    "override": lambda n, t: {"what": "verdict", "reason": t, "findings": [t] * n},
    "consent": lambda n, t: {"provider": t, "what": [t] * n},
}
STATUSES = ("open", "approved", "done", "rejected", "superseded", "void")


def proposal(kind: ProposalKind, number: int = 3, text: str = "Refunds", **changes: Any) -> Proposal:
    decided = (
        (Decision(user="U0ADA", approve=True, at=1e9, evidence="button"),)
        if changes.get("status") in ("approved", "done", "rejected")
        else ()
    )
    base: dict[str, Any] = {
        "id": "p1",
        "tenant": TENANT,
        "workflow_id": "w1",
        "channel": "C1",
        "thread_ts": "1.0",
        "kind": kind,
        "title": text,
        "payload": PAYLOADS[kind](number, text),
        "depends": {},
        "asked_by": "U0ADA",
        "created_at": 1e9,
        "decisions": decided,
    }
    return Proposal(**{**base, **changes})
