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


VARIETY: dict[str, Any] = {
    "rows": 27,
    "distinct": [0.5, 0.8, None],
    "self_similarity": 0.3,
    "near_duplicate_share": 0.0,
    "real": {"rows": 27, "distinct": [0.4, 0.7, 0.9], "self_similarity": 0.4, "near_duplicate_share": None},
}

CLEANABLE = (
    "remove_duplicates",
    "near_duplicates",
    "fix_formatting",
    "empty_turns",
    "refusals",
    "personal_data",
)


def rejections(number: int, text: str) -> list[dict[str, Any]]:
    return [{"code": "too_short", "message": text, "text": text} for _ in range(number)]


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
        "second_file": {
            "workflow_id": "w1",
            "name": text,
            "rows": 500,
            "files": [{"id": f"f{at}", "name": text, "size": 123_456 * at} for at in range(min(number, 10))],
            "batch": "b1",
            "by": "<@U1>",
            "settled": [{"name": text, "how": "append", "by": "U1"}] * min(number, 10),
        },
        "file_added": {
            "mode": "merge",
            "file_name": text,
            "recognised": text,
            "rows_in_file": 500,
            **dict.fromkeys(("added", "replaced", "unchanged", "edited", "gone", "duplicates", "invalid"), 7),
            "counts": codes,
            "first_lines": {code: list(range(50)) for code in codes},
            "mend": dict.fromkeys(codes, text),
            "problems": [text] * number,
            "file_problems": [text] * number,
            "total": 1_007,
            "valid_count": 1_000,
            "dataset_version": 4,
            "version_before": 2,
            "balance_score": 0.5,
            "unlabelled": 7,
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
            "rows_by_stage": {"keyword": 300, "embedding": 80, "llm": 100, "uncategorised": 7},
            "tokens": {"llm": 1200, "embedding": 900},
            "asked_count": 107,
            "reliability": {
                "measured_on": 240,
                "accuracy": 0.9,
                "claimed": 0.88,
                "ece": 0.021,
                "against": "people",
                "table": [
                    {"low": low, "high": low + 0.1, "rows": 40, "claimed": low + 0.05, "right": low}
                    for low in (0.5, 0.6, 0.7, 0.8, 0.9)
                ],
            },
        },
        "coverage": cover,
        "preview": {
            "strategy": "few_shot",
            "generation_mode": "sft",
            "rows": [
                {
                    **row,
                    "answer": text,
                    "difficulty": text,
                    "keyword": text,
                    "aspects": [text] * number,
                    "tools": [text] * number,
                }
                for row in rows
            ],
            "rejected": codes,
            "rejected_samples": rejections(number, text),
            "diversity": VARIETY,
        },
        "generated": {
            "asked": 30,
            "generated": 30,
            "kept": 27,
            "rejected": {"near_duplicate": 3, **codes},
            "rejected_samples": rejections(number, text),
            "diversity": VARIETY,
            "earlier": {"rounds": 2, "asked": 60, "kept": 41},
            "asked_again": 5,
            "from_goal": True,
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
            "leakage_report": {
                "held_out": 51,
                "exact": 1,
                "near": 2,
                "same_source": 3,
                "examples": [{"kind": "near", "text": text, "in_training": text}] * number,
                "locked_test": 40,
                "left_out": 2,
            },
        },
        "nothing_to_clean": {"rows": 500},
        "cleaned": {
            "did": {
                "remove_duplicates": 3,
                "near_duplicates": 2,
                "fix_formatting": 9,
                "personal_data": 4,
                text: 1,
            },
            "personal_data": "mask",
            "rows_before": 500,
            "rows": 495,
            "valid_before": 487,
            "valid": 485,
            "new_duplicates": 1,
            "version_before": 3,
            "dataset_version": 4,
        },
        "near_duplicates": {
            "near_duplicates": number,
            "duplicates": 2,
            "rows": 500,
            "valid": 487,
            "examples": [{"text": text, "after": text}] * number,
            "workflow_id": "w",
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
        "export": {
            "file_name": text,
            "rows": 514,
            "format": "csv",
            "format_title": "CSV",
            "files": [{"file_name": text, "link": "https://example.org/x", "size": 5_000_000}] * number,
            "task_id": "t1",
            "workflow_id": "w",
            "dataset_version": 3,
            "splits": {"train": 463, "validation": 51},
            "shares": "90/10",
            "left_out": [{"rows": 12, "why": text}] * number,
            "not_carried": [{"name": text, "rows": 7}] * number,
            "not_carried_count": number,
            "formulas": 3,
            "generated_left_out": 27,
            "notes": [text] * number,
            "not_shared": True,
        },
        "prepared": {
            "rows": 2_000,
            "dataset_id": text,
            "dataset_version": 3,
            "task_type": "chat",
            "splits": {"train": 1_600, "validation": 200, "test": 200},
            "shares": "80/10/10",
            "validation": {"rejected": 13},
            "files": [{"file_name": text, "size": 900}] * number,
            "left_out": [{"rows": 12, "why": text}] * number,
            "notes": [text] * number,
            "leakage": {
                "held_out": 400,
                "exact": 1,
                "near": 2,
                "same_source": 0,
                "locked_test": 200,
                "left_out": 4,
            },
            "shared": True,
            "task_id": "t1",
            "workflow_id": "w",
        },
        "compared": {
            "old": 1,
            "new": 4,
            "rows": [500, 527],
            "valid": [487, 514],
            "added": 27,
            "removed": 0,
            "changed": 3,
            "topics": 40,
            "validity": 1,
            "topic_moves": [{"from": text, "to": "", "rows": 4}] * number,
            "examples": [
                {"id": text, "kind": kind, "before": text, "after": text}
                for kind in ("added", "removed", "changed", "validity")
                for _ in range(number)
            ],
            "versions": [
                {
                    "number": 4,
                    "parent": 3,
                    "operation": text,
                    "by": "U0ADA",
                    "at": 1e9,
                    "rows": 527,
                    "valid": 514,
                }
            ]
            * number,
        },
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
        "rows": {
            "workflow_id": "w",
            "rows": [
                {"id": f"r{i}", "text": text, "topic": text, "confidence": 0.4, "score": 0.5, "line": i}
                | {"valid": i % 2 == 0, "error": "user_message_too_short", "generated": True}
                for i in range(number)
            ],
            "which": [text] * number,
            "total": number,
            "where": {"text": text},
        },
        "rows_changed": {
            "action": "move",
            "count": number,
            "topic": text,
            "left_as_changed": number,
            "total": 500,
            "valid_count": 480,
            "dataset_version": 4,
            "version_before": 3,
            "balance_score": 0.5,
        },
        "documents": {
            "workflow_id": "w",
            "documents": [
                {
                    "name": text,
                    "kind": "pdf",
                    "pages": 12,
                    "headings": 9,
                    "passages": 30,
                    "words": 4_000,
                    "skipped": {text: 2, "scripts": 1},
                    "outline": [text] * min(number, 12),
                    "notes": [text],
                }
            ]
            * min(number, 20),
            "problems": [{"name": text, "problem": text}] * min(number, 20),
            "passages": 30,
            "has_dataset": True,
        },
        "knowledge": {
            "asked": 30,
            "generated": 30,
            "kept": 27,
            "by_type": {"concepts": 20, "procedures": 7},
            "rejected": {"not_supported": 2, **codes},
            "turned_away": [{"code": "not_supported", "question": text, "why": text}] * min(number, 8),
            "examples": cited(text),
            "unverified": 3,
            "partial": False,
            "valid_rows": 514,
        },
        "help": {"unknown": text},
    }


def cited(text: str) -> list[dict[str, Any]]:
    row = {"kind": "concepts", "question": text, "answer": f"{text}\n" * 9, "quote": text, "where": text}
    return [row] * 3


PAYLOADS: dict[ProposalKind, Any] = {
    "clean": lambda n, t: {
        "params": {"remove_duplicates": True, "fix_formatting": True, "personal_data": "mask", "scan": "t1"},
        "rows": 500,
        "findings": [
            {
                "code": code,
                "rows": n,
                "kinds": [[t, n]] * n,
                "examples": [{"text": t, "after": t}] * n,
            }
            for code in (*CLEANABLE, t)
        ],
    },
    "knowledge": lambda n, t: {
        "documents": [t] * min(n, 20),
        "total": 90,
        "counts": {"concepts": {"passages": 20, "rows": 60}, t: {"passages": 10, "rows": 30}},
        "preview": cited(t),
        "notes": [t] * 2,
        "formula": t,
    },
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
        "generation_mode": "sft",
        "personas": [t] * n,
        "combinations": 96,
        "earlier": {"rounds": 1, "asked": 60, "kept": 41},
        "preview_offered": True,
    },
    "augmentation": lambda n, t: {
        "total": 60,
        "rows": 30,
        "methods": ["paraphrase", "backtranslate", *[t] * n],
        "pivot": t,
        "topics": [t] * n,
        "cost_usd": 0.2,
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
    "rows": lambda n, t: {
        "action": "delete",
        "count": n,
        "total": 500,
        "everything": True,
        "which": [t] * n,
        "examples": [{"text": t, "topic": t}] * n,
        "coverage": {
            "balance_before": 0.5,
            "balance_after": 0.6,
            "topics": [{"name": t, "before": 10, "after": 3}] * n,
            "more": n,
        },
        "warnings": [t] * n,
    },
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
