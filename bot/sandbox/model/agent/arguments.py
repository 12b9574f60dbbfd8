"""Arguments of tool calls, taken from a person's words and from what was seen."""

from __future__ import annotations

import re
from collections.abc import Callable

from bot.sandbox.model.agent import making, tidying
from bot.sandbox.model.agent.intents import goal_in
from bot.sandbox.model.agent.outline import parse_outline
from bot.sandbox.model.agent.reading import find_first, known_topics, number_in, topics_named
from bot.sandbox.model.agent.situation import Situation, find
from bot.sandbox.model.asks import Json
from bot.sandbox.model.structured.criteria import weighted_names
from bot.sandbox.model.structured.topic_labels import closest
from bot.sandbox.model.words import stems

Arguments = Callable[[str, Situation], Json]

_STEP_WORDS = (
    ("dry_run", r"dry[- ]?run|evaluation"),
    ("grader_config", r"grader|criteria|judg"),
    ("coverage_generation", r"coverage|generat|synthetic|balance"),
    ("categorize", r"categori[sz]|label"),
    ("topics_config", r"topics?|tree|hierarchy"),
    ("training", r"train"),
    ("deployment", r"deploy"),
)
_TEMPLATES = r"(?P<name>customer support|support|e-?commerce|shop|coding(?: assistant)?|code|finance|financial|health\w*(?: intake)?|tool[- ]using(?: agent)?|agent)"
_TEMPLATE_NAMES = (
    ("support", "customer_support"),
    ("commerce", "ecommerce"),
    ("shop", "ecommerce"),
    ("cod", "coding_assistant"),
    ("financ", "finance"),
    ("health", "healthcare_intake"),
    ("agent", "tool_using_agent"),
)
_TARGET = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z /&'_-]*?)\s*(?:[:=]|\bto\b|\bat\b|\bbe\b)?\s*(?P<share>\d{1,3}(?:\.\d+)?)\s*(?:%|percent)?"
)
_LEAD_IN = re.compile(
    r"^.*\btargets?\b(?: (?:for|of|to))?|\b(?:and|the|percent|should|have|get|make)\b", re.I
)
_PRESETS = ("quality", "correctness", "tool_usage", "format_compliance", "conciseness")


def arguments_for(tool: str, words: str, situation: Situation) -> Json:
    """Arguments under their names in the tools' contract; `fitting.fit` maps them to the schema that is offered."""
    make = _MAKERS.get(tool)
    return make(words, situation) if make else {}


def criteria_in(words: str) -> list[Json]:
    """Weighted criteria as the judge's configuration takes them; [] when the words carry no weights."""
    named = weighted_names(words)
    total = sum(one.points for one in named)
    if len(named) < 2 or total <= 0:
        return []
    return [
        {"name": one.name, "description": one.description, "weight": round(one.points / total, 4)}
        for one in named
    ]


def _start(words: str, situation: Situation) -> Json:
    named = re.search(
        r"\b(?:called|named|name it|dataset)\s+[\"“'](?P<name>[^\"”']{2,80})[\"”']", words, re.I
    )
    goal = goal_in([*situation.earlier_words, *situation.words]) if not words else (goal_in([words]) or words)
    return {"training_goals": goal.strip(), "dataset_name": named.group("name") if named else None}


def _generate_topics(words: str, situation: Situation) -> Json:
    template = re.search(
        rf"{_TEMPLATES}[\w -]*template|template\b.*?{_TEMPLATES.replace('name', 'other')}", words, re.I
    )
    if template:
        said = (template.group("name") or template.group("other")).lower()
        return {
            "method": "template",
            "template_name": next(name for part, name in _TEMPLATE_NAMES if part in said),
        }
    if re.search(r"\btemplate\b", words, re.I):
        return {"method": "template"}
    if re.search(r"\b(documents?|headings?|handbook|manual|pdf|docs)\b", words, re.I):
        return {"method": "documents"}
    lens = re.search(
        r"\bby\s+(?:the\s+)?(?P<lens>[\w -]{3,60}?)(?:\s+(?:instead|please|rather|now))*\s*[.!?]*$",
        words,
        re.I,
    )
    depth = re.search(r"(\d)\s+levels?", words)
    return {
        "method": "auto",
        "lens": lens.group("lens").strip() if lens else None,
        "max_depth": int(depth.group(1)) if depth else None,
    }


def _knowledge(words: str, situation: Situation) -> Json:
    """Documents by name where a name is said, else all of them; one kind where only one is meant."""
    kinds = [
        kind for kind in ("concepts", "procedures", "facts") if re.search(rf"\b{kind[:-1]}", words, re.I)
    ]
    names = re.findall(r"[\w][\w.-]*\.(?:md|markdown|txt|html?|pdf)\b", words, re.I)
    return {"source": names, "knowledge_type": kinds[0] if len(kinds) == 1 else None}


def _hierarchy(words: str, situation: Situation) -> Json:
    return {"hierarchy": parse_outline(words)}


def _instruction(words: str, situation: Situation) -> Json:
    return {"instruction": words}


def _categorize(words: str, situation: Situation) -> Json:
    threshold = re.search(r"\b0?\.(\d{1,2})\b", words)
    again = re.search(r"\b(again|re-?categori\w+|all|everything)\b", words, re.I) and not re.search(
        r"unlabel", words, re.I
    )
    return {
        "mode": "all" if again and re.search(r"\b(again|re-?categori\w+)\b", words, re.I) else None,
        "confidence_threshold": float(f"0.{threshold.group(1)}") if threshold else None,
    }


def _targets(words: str, situation: Situation) -> Json:
    known = known_topics(situation)
    targets: Json = {}
    for match in _TARGET.finditer(words):
        name = _LEAD_IN.sub("", match.group("name")).strip(" :,-")
        if stems(name):
            targets[closest(name, known) or name.lower()] = float(match.group("share"))
    return {"targets": targets}


def _generation(words: str, situation: Situation) -> Json:
    again = making.same_again(words, situation)
    if again is not None:
        return again
    count, topics = number_in(words), topics_named(words, situation)
    arguments: Json = {
        "strategy": _strategy(words),
        "target_topics": topics or None,
        **making.particulars(words),
    }
    if re.search(r"\b(whole|full|complete)\s+conversations?\b|\bsft\b|\bwith answers\b", words, re.I):
        arguments["generation_mode"] = "sft"
    if re.search(r"\b(hard|harder|complex|difficult|tricky)\b", words, re.I):
        arguments["difficulty"] = "hard"
    if arguments["strategy"] == "scenario_expansion":
        arguments["base_scenario"] = _scenario(words, topics)
        arguments["aspects"] = [
            "several things at once",
            "missing information",
            "unusual amounts",
            "a tight deadline",
        ]
    seeds = _seed_ids(words, situation)
    if seeds:
        arguments |= {
            "record_ids": seeds,
            "variations_per_record": max(1, -(-(count or 3 * len(seeds)) // len(seeds))),
        }
    if count:
        spread_over = 1 if seeds else len(topics) or len(find_first(situation, "under_represented"))
        arguments |= {"count": count, "count_per_topic": max(1, round(count / max(1, spread_over)))}
    return {name: value for name, value in arguments.items() if value is not None}


def _preview(words: str, situation: Situation) -> Json:
    count = number_in(words)
    return _generation(words, situation) | {"count": min(5, max(3, count or 5)), "count_per_topic": None}


def _strategy(words: str) -> str | None:
    for pattern, strategy in (
        (r"\bcomplex|\bscenario|\bedge cases?|\bharder|\bdifficult|\btricky", "scenario_expansion"),
        (r"few[- ]?shot|in the style of|like the (existing|real)", "few_shot"),
        (r"variation|rephras|reword|paraphras|from (these|them|those)", "message_variation"),
        (r"from (the )?(description|keywords?)|from scratch", "topic_description"),
        (r"tool[- ]chain|tool calls?|use of tools", "tool_chain"),
    ):
        if re.search(pattern, words, re.I):
            return strategy
    return None


def _scenario(words: str, topics: list[str]) -> str:
    about = re.search(r"\b(?:where|in which|about|with)\s+(?P<what>[^.?!]{6,120})", words, re.I)
    if about:
        return about.group("what").strip()
    return (
        f"A demanding case about {topics[0].replace('_', ' ').replace('/', ', ')}"
        if topics
        else "A demanding case of the usual kind"
    )


def wants_seeds(words: str) -> bool:
    return bool(
        re.search(
            r"\bfrom (these|those|them|my|the) ?(rows?|examples?|records?|seeds?|three|few)?\b|\blike (these|those)\b",
            words,
            re.I,
        )
    )


def _seed_ids(words: str, situation: Situation) -> list[str]:
    if not wants_seeds(words):
        return []
    for result in (*reversed(situation.results), *reversed(situation.history)):
        if result.tool == "get_dataset_records":
            rows = find(result.answer, "rows", "records") or []
            return [str(row["id"]) for row in rows if isinstance(row, dict) and row.get("id")][:20]
    return []


def _grader(words: str, situation: Situation) -> Json:
    source = re.search(r"```(?:python|py|javascript|js)?\s*\n(.*?)```", words, re.S)
    script = source.group(1) if source else words[words.find("def grade") :] if "def grade" in words else ""
    if script:
        language = "javascript" if "function evaluate" in script else "python"
        return {"grader_type": "script", "config": {"language": language, "source": script.strip() + "\n"}}
    preset = next(
        (name for name in _PRESETS if re.search(rf"\b{name.replace('_', '[ _]')}\b", words, re.I)), None
    )
    if preset and re.search(r"\bpreset\b", words, re.I):
        return {"grader_type": "llm_as_judge", "preset": preset}
    changes = re.search(r"\b(add|also|include|remove|drop|more|less|instead|raise|lower)\b", words, re.I)
    criteria = [] if changes else criteria_in(words)
    if criteria:
        return {"grader_type": "llm_as_judge", "config": {"criteria": criteria}}
    return {"grader_type": "llm_as_judge", "instruction": words}


def _sample(words: str, situation: Situation) -> Json:
    share = re.search(r"(\d{1,3}(?:\.\d+)?)\s*(?:%|percent)", words)
    rollouts = re.search(r"(\d)\s+(?:rollouts?|answers? (?:each|per))", words, re.I)
    return {
        "sample_percentage": float(share.group(1)) if share else None,
        "sample_size": number_in(re.sub(r"\d\s+rollouts?", "", words)) if not share else None,
        "rollouts": int(rollouts.group(1)) if rollouts else None,
    }


def _test_size(words: str, situation: Situation) -> Json:
    return {"sample_size": number_in(words) or 5}


def _training(words: str, situation: Situation) -> Json:
    epochs = re.search(r"(\d{1,2})\s+epochs?", words, re.I)
    effort = re.search(r"\b(low|medium|high)\b\s+(?:reasoning\s+)?effort", words, re.I)
    method = next((m for m in ("rft", "sft", "dpo") if re.search(rf"\b{m}\b", words, re.I)), None)
    template = re.search(r"\b(efficient|quality)\b", words, re.I)
    found = {
        "epochs": int(epochs.group(1)) if epochs else None,
        "reasoning_effort": effort.group(1).lower() if effort else None,
        "method": method,
        "template": template.group(1).lower() if template else None,
        "hyperparameters": {"epochs": int(epochs.group(1))} if epochs else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _job(words: str, situation: Situation) -> Json:
    jobs = situation.running_jobs
    return {"job_id": str(jobs[0]["id"])} if jobs else {}


def _deployment(words: str, situation: Situation) -> Json:
    alias = re.search(r"\b(?:as|alias|called|named)\s+[\"“']?(?P<alias>[A-Za-z][\w.-]{1,40})", words)
    replace = re.search(r"\b(replace|instead of|swap)\b", words, re.I)
    split = re.search(r"\ba/?b\b", words, re.I)
    mode = "ab_test" if split else "replace_gateway" if replace else "new_endpoint"
    return {"deployment_mode": mode, "alias": alias.group("alias") if alias else None}


def _try(words: str, situation: Situation) -> Json:
    quoted = re.search(r"[\"“](?P<text>.{4,}?)[\"”]|:\s*(?P<rest>\S.{3,})$", words, re.S)
    text = (quoted.group("text") or quoted.group("rest")).strip() if quoted else ""
    after = re.search(
        r"\b(?:try|ask)\s+(?:it|the model|the tuned model)\s+(?:with|on|about|how|what|why)?\s*(?P<q>.{8,})$",
        words,
        re.I | re.S,
    )
    return {"prompt": text or (after.group("q").strip() if after else "")}


def _because(words: str, situation: Situation) -> Json:
    reason = re.search(r"\b(?:because|since|as)\s+(?P<why>.{4,})$", words, re.I)
    return {"reason": reason.group("why") if reason else words}


def _step(words: str, situation: Situation) -> Json:
    step = next((step for step, pattern in _STEP_WORDS if re.search(pattern, words, re.I)), None)
    return {"step": step or str((situation.workflow or {}).get("current_step") or "topics_config")}


def _skip(words: str, situation: Situation) -> Json:
    return _step(words, situation) | _because(words, situation)


def _records(words: str, situation: Situation) -> Json:
    wanted, count = _row_filter(words, situation), number_in(words)
    show = bool(re.search(r"\b(show|list|see|view|display|browse|look at)\b", words, re.I)) or None
    return {"limit": min(100, count) if count else None, "filter": wanted or None, "show": show}


def _row_filter(words: str, situation: Situation) -> Json:
    """Which rows the words mean; {} for all of them."""
    wanted: Json = {}
    if re.search(r"low[- ]confidence|unsure|needs? review", words, re.I):
        wanted["confidence"] = 0.7
    if re.search(r"\binvalid|broken|rejected|wrong rows?\b", words, re.I):
        wanted["valid"] = False
    if re.search(r"\bgenerated|synthetic\b", words, re.I):
        wanted["source"] = "generated"
    known = known_topics(situation)
    topic = next(iter(topics_named(words, situation)), "")
    if topic in known:
        wanted["topic"] = topic
    said = re.search(
        r"\b(?:containing|saying|that (?:say|mention|contain)|with the words?)\s+[\"“']?(?P<text>[^\"”'.?!]{2,60})",
        words,
        re.I,
    )
    if said:
        wanted["text"] = said.group("text").strip()
    return wanted


def _delete(words: str, situation: Situation) -> Json:
    """Rows by what is said of them; a topic that nobody has seen is looked for as words."""
    wanted = _row_filter(words, situation)
    about = re.search(r"\babout\s+(?P<text>[\w &/'-]{2,40})", words, re.I)
    if not wanted and about:
        wanted = {"text": about.group("text").strip()}
    every = re.search(r"\b(all|every|the whole)\b", words, re.I)
    return {"filter": wanted} if wanted or every else {}


def _move(words: str, situation: Situation) -> Json:
    rows, _, target = re.sub(r"\s+(?:in)?to\s+|\s+under\s+", "\n", words).partition("\n")
    topics = topics_named(f"for {target}", situation)
    return {**_delete(rows, situation), "topic": topics[0] if topics else target.strip(" .!")}


def _add_row(words: str, situation: Situation) -> Json:
    said = re.search(r"[:“\"]\s*(?P<text>.+)$", words, re.S)
    text, _, answer = re.sub(
        r"\s*(?:=>|->|\banswer:)\s*", "\n", said.group("text") if said else ""
    ).partition("\n")
    return {"text": text.strip(' ”"'), "answer": answer.strip(' ”"') or None}


def _version(words: str, situation: Situation) -> Json:
    number = re.search(r"\bversion (?P<number>\d{1,6})\b", words, re.I)
    return {"version": int(number.group("number")) if number else None}


def _update(words: str, situation: Situation) -> Json:
    record = re.search(r"\b(?:record|row)\s+#?(?P<id>[\w-]*\d[\w-]*)", words, re.I)
    topics = topics_named(words, situation)
    return {
        "record_id": record.group("id") if record else None,
        "updates": {"topic": topics[0]} if topics else {},
    }


_FORMATS = (
    ("csv", r"\bcsv\b|spreadsheet|excel"),
    ("parquet", r"\bparquet\b"),
    ("sharegpt", r"\bshare ?gpt\b"),
    ("openai_dpo", r"\bdpo\b|preference"),
    ("openai_rft", r"\brft\b|reinforcement"),
    ("openai_sft", r"\bsft\b|\bopen ?ai\b|supervised"),
    ("instruction", r"\binstructions?\b|alpaca"),
    ("classification", r"\bclassif\w+"),
    ("completion", r"\bcompletions?\b"),
    ("chat", r"\bchat\b|conversations?\b"),
)
_SHARES = re.compile(r"\b\d{2}\s?/\s?\d{1,2}(?:\s?/\s?\d{1,2})?\b")


def _export(words: str, situation: Situation) -> Json:
    form = next((name for name, pattern in _FORMATS if re.search(pattern, words, re.I)), "jsonl")
    side = re.search(
        r"\b(?P<side>training|train|validation|test)\b(?=.*\b(split|rows|set|side|data)\b)", words, re.I
    )
    every = re.search(r"\b(splits|all sides|each side|(as a )?zip)\b", words, re.I) or _SHARES.search(words)
    named = side.group("side").lower().replace("training", "train") if side else None
    shares = _SHARES.search(words)
    return {
        "format": form,
        "splits": named or ("all" if every else None),
        "shares": shares.group().replace(" ", "") if shares else None,
        "include_generated": False
        if re.search(r"\b(without|no|leave out|excluding)\b.*\b(generated|synthetic)", words, re.I)
        else None,
        "gzip": True if re.search(r"\bgzip|compressed\b", words, re.I) else None,
    }


def _prepare(words: str, situation: Situation) -> Json:
    shares = _SHARES.search(words)
    kind = next((name for name in ("classification", "completion") if name[:8] in words.casefold()), None)
    return {"splits": shares.group().replace(" ", "") if shares else None, "task_type": kind}


def _compare(words: str, situation: Situation) -> Json:
    numbers = [int(found) for found in re.findall(r"\b\d{1,6}\b", words)]
    return {"old": numbers[0] if numbers else None, "new": numbers[1] if len(numbers) > 1 else None}


def _upload(words: str, situation: Situation) -> Json:
    return {"force_reupload": True} if re.search(r"\b(again|re-?upload|force)\b", words, re.I) else {}


def _further(words: str, situation: Situation) -> Json:
    """What to do with a file that waits; its name where one is said."""
    named = re.search(r"[\w.-]+\.(?:jsonl|ndjson|json|csv|parquet)(?:\.(?:gz|zst))?\b", words, re.I)
    mode = "replace" if re.search(r"\b(replace|swap)\b", words, re.I) else "append"
    mode = "merge" if re.search(r"\bmerge\b", words, re.I) else mode
    return {"mode": mode, "file": named.group(0) if named else None}


_MAKERS: dict[str, Arguments] = {
    "start_finetune_workflow": _start,
    "generate_topics": _generate_topics,
    "prepare_from_knowledge": _knowledge,
    "apply_topic_hierarchy": _hierarchy,
    "adjust_topics": _instruction,
    "categorize_records": _categorize,
    "set_targets": _targets,
    "generate_preview": _preview,
    "generate_synthetic_data": _generation,
    "augment_dataset": making.augmentation,
    "bootstrap_dataset": making.bootstrap,
    "propose_personas": making.personas,
    "configure_grader": _grader,
    "test_grader_sample": _test_size,
    "check_viability": _test_size,
    "run_dry_run": _sample,
    "upload_dataset": _upload,
    "configure_training": _training,
    "start_training": _training,
    "cancel_job": _job,
    "pause_training": _job,
    "resume_training": _job,
    "deploy_model": _deployment,
    "try_model": _try,
    "rollback_to_step": _step,
    "advance_to_step": _step,
    "skip_step": _skip,
    "override_verdict": _because,
    "override_deploy": _because,
    "get_dataset_records": _records,
    "update_record": _update,
    "delete_records": _delete,
    "move_records": _move,
    "add_record": _add_row,
    "restore_dataset_version": _version,
    "clean_dataset": tidying.cleaning,
    "export_dataset": _export,
    "add_file": _further,
    "prepare_dataset": _prepare,
    "compare_dataset_versions": _compare,
}
