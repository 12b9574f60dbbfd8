"""From a person's words to the tools they ask for: weighted patterns, no exact phrases.

Each pattern that occurs adds its weight; the tool with the highest sum of at least THRESHOLD is meant. What the person
was last asked, and what is open, tip the balance.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

THRESHOLD = 2.0
MAX_INTENTS = 4

Expecting = Literal["", "goal", "judging"]
Brought = Literal["", "file", "documents"]  # with the words: a further file, or documents
Mood = Literal["affirm", "deny", "thanks", "greeting", "help", ""]

_STEPS = r"topics?|categor\w+|coverage|generat\w+|grader|dry[- ]?run|training|deploy\w*"
_ROWS = r"rows?|records?|examples?|samples?|conversations?|questions?|entries|cases"
_QUALITIES = (
    r"accura\w+|correct\w*|tone|polite\w*|friendl\w+|empath\w+|on[- ]brand|brand|complete\w*|helpful\w*|concise\w*|clarity"
    r"|clear|safe\w*|promises?|factual|relevan\w+|format|brevity|professional\w*"
)

PATTERNS: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = (
    ("cancel_job", ((r"\b(stop|cancel|abort|halt|kill)\b", 3.2), (r"\bnever ?mind\b", 2.5))),
    (
        "delete_workflow",
        ((r"\b(delete|discard|throw (it|this|everything) away|scrap|erase)\b", 1.5), (r"\b(workflow|project|everything|all)\b", 2)),
    ),
    (
        "clean_dataset",
        (
            (r"\b(clean(ing|se)?|de-?dup\w*|tidy|scrub|saniti[sz]e|anonymi[sz]e|redact)\b", 3.4),
            (r"\b(data|dataset|rows|file)\b", 0.8),
            (r"\b(remove|drop|rid of|mask|hide|strip|fix|mend|take out)\b.*\b(duplicates?|personal|pii|e-?mails?|phone numbers?|card numbers?"
             r"|(api )?keys|secrets|tokens|formatting|encoding|refusals?|empty turns?)\b", 5),
        ),
    ),
    (
        "find_near_duplicates",
        (
            (r"\bnear[- ]?(duplicates?|copies)\b|\balmost (the same|identical|equal)\b|\bsimilar rows\b|\bduplicates\b", 2.6),
            (r"\b(are there|how many|any|find|look for|check|count)\b", 1.2),
        ),
    ),
    ("delete_records", ((r"\b(delete|remove|drop|throw out)\b", 2), (rf"\b({_ROWS})\b", 2))),
    ("move_records", ((r"\b(move|put|re-?assign|shift)\b", 2), (rf"\b({_ROWS})\b", 2), (r"\b(to|into|under)\b", 0.6))),
    ("add_record", ((rf"\badd (this|a|an|one|the following)( new)? ({_ROWS})\b[^:“\"]*[:“\"]", 6),)),
    (
        "restore_dataset_version",
        (
            (r"\b(undo|take (it|that|this) back|bring (it|them|that) back)\b", 3.3),
            (r"\b(edit|change|deletion|move|that)\b", 0.7),
            (r"\b(data(set)?|rows?)?\s*version \d+\b", 3.6),
        ),
    ),
    (
        "rollback_to_step",
        ((r"\b(roll(ing)? ?back|go back|back to|return to|undo|revert)\b", 3), (rf"\b({_STEPS})\b", 1)),
    ),
    ("skip_step", ((r"\b(skip|leave out the step|without (the )?(topics|categories|coverage))\b", 3.5),)),
    (
        "complete_workflow",
        (
            (r"\b(complete|finish|close|wrap up|conclude)\b", 1.2),
            (r"\b(workflow|project|everything)\b", 1.2),
            (r"\b(we('| a)?re|all) (all )?(done|finished)\b|\bthat('s| is) (all|it)\b", 2.5),
        ),
    ),
    (
        "get_workflow_status",
        (
            (r"\b(status|where (are|were|do) we|progress|how far|what('s| is) (next|left|happening|going on|running))\b", 3),
            (r"\b(is (it|that|this) (done|ready|finished)|done yet|ready yet|finished yet|how('s| is) it going)\b", 3),
            (r"\b(catch me up|i'?m back|pick up|where did we|continue|resume|carry on)\b", 2.8),
        ),
    ),
    (
        "check_training_status",
        (
            (r"\b(training|train|fine-?tun\w+)\b", 1.5),
            (r"\b(status|progress|how'?s|how is|done|finished|going|ready|far|eta|metrics|yet)\b", 2.2),
        ),
    ),
    (
        "adjust_topics",
        (
            (r"\b(merge|combine|rename|nest)\b", 3),
            (r"\b(add|create|include|remove|delete|drop|split|put|move|introduce)\b", 1.6),
            (r"\b(topics?|categor(y|ies)|under|tree|hierarchy|branch|leaf|subtopic)\b", 1.9),
        ),
    ),
    (
        "generate_topics",
        (
            (r"\b(generate|propose|suggest|find|create|build|make|redo|regenerate|new|different|discover|come up with)\b", 1.2),
            (r"\b(topics|topic (tree|hierarchy|structure)|tree|hierarchy|taxonomy|categories)\b", 1.8),
            (r"\b(organi[sz]e|group|cluster|arrange|structure|split|sort)\b.*\bby\b", 3.5),
            (r"\btemplate\b", 2.4),
            (r"\btopics\b.*\b(documents?|handbook|manual|headings)\b", 1),
        ),
    ),
    ("categorize_records", ((r"\b(categori[sz]e|classify|label|assign|sort)\b", 3), (rf"\b({_ROWS}|data|them|everything|all)\b", 0.6))),
    ("analyze_coverage", ((r"\b(coverage|balanced?|distribution|gaps?|under-?represented|spread)\b", 2.6), (r"\b(analy[sz]e|show|check|how)\b", 0.6))),
    (
        "get_coverage_recommendations",
        ((r"\b(recommend\w*|suggestions?|advice|what should (we|i) (add|generate|write)|needs? more)\b", 2.4), (r"\b(coverage|topics?|balance|data)\b", 1)),
    ),
    ("set_targets", ((r"\btargets?\b", 3), (r"\d+\s*(%|percent)", 1.2), (r"\bshould (be|have|make up|get)\b.*\d+ ?(%|percent)", 1.5))),
    (
        "generate_preview",
        (
            (r"\bpreview\b", 3.4),
            (r"\b(show|see|let me see|give)\b.*\b(examples?|samples?|few|some)\b.*\b(first|before)\b", 4.5),
            (r"\b(examples?|samples?|few) first\b", 3),
            (r"\bwhat (would|will) (they|it|these) look like\b", 4),
        ),
    ),
    (
        "generate_synthetic_data",
        (
            (r"\b(generate|create|make|write|produce|synthesi[sz]e|add|need|augment|give me|generation)\b", 1.5),
            (r"(?<![\w-])(\d+|more|another|some|few|dozen|hundred|twenty|thirty|fifty)\b", 1),
            (rf"\b({_ROWS}|ones|synthetic|data|from (these|them|those))\b", 1.2),
            (r"\b(generate|make|write) the (rest|missing)\b|\bmake up for\b", 1.4),
            (r"\b(few[- ]?shot|complex|harder|difficult|tricky|edge cases?|variations?|scenario|from (these|them|those))\b", 1.6),
        ),
    ),
    (
        "prepare_from_knowledge",
        (
            (r"\b(make|create|generate|prepare|build|produce|turn|extract|get|want)\b", 1.2),
            (rf"\b(training (data|rows|set)|{_ROWS}|q ?(&|and) ?a|data(set)?|concepts|procedures|facts)\b", 1),
            (
                r"\b(from|out of|of|with|using|into)\b.*\b(documents?|handbook|manual|guide|pdf|pages?|docs?|wiki|article|knowledge|policy|faq"
                r"|text|this)\b|\b(documents?|handbook|manual|pdf|docs?|article)\b.*\b(into|for training)\b",
                2.2,
            ),
            (r"\b(documents?|handbook|manual|pdf|knowledge base|docs|concepts and|procedures and)\b", 1.5),
            (r"\b(topics?|tree|hierarchy)\b", -4),
        ),
    ),
    (
        "augment_dataset",
        (
            (r"\b(paraphrase|reword|rephrase|back-?\s?translate|augment)\b", 4.6),
            (r"\b(say|put|ask)\b.*\b(again|differently|in other words|another way)\b", 4.2),
            (rf"\b({_ROWS})\b", 0.5),
        ),
    ),
    (
        "bootstrap_dataset",
        (
            (r"\b(dataset|data|examples|rows|everything|start|begin)\b.*\bfrom scratch\b|\bfrom scratch\b.*\b(dataset|data|examples|rows)\b", 5.2),
            (r"\b(no|without( a| any)?) (file|data|dataset)\b", 4.4),
            (r"\bfrom (just |only |nothing but )?(the|a|this|my) goal\b", 4.6),
        ),
    ),
    (
        "propose_personas",
        (
            (r"\b(personas?|voices)\b", 4.2),
            (r"\bwho (would|will|might|could) (write|ask|be asking|use)\b", 4.2),
        ),
    ),
    (
        "test_grader_sample",
        (
            (r"\b(test|try|check)\b", 1.2),
            (r"\b(grader|criteria|evaluator|judge|rubric|grading)\b", 1.8),
            (r"\b(test|try|check)\b.*\b(on|with|against)\b.*\b(\d+|five|some|few|ten|three|sample|rows?)\b", 2.8),
        ),
    ),
    (
        "configure_grader",
        (
            (r"\b(grader|criteria|criterion|rubric|judged?|judging|scor(e|ed|ing)|grad(e|ed|ing)|weigh(s|t|ts|ted)?)\b", 2),
            (rf"\b({_QUALITIES})\b", 1.3),
            (rf"\b({_QUALITIES})\b.*\d{{1,3}}|\d{{1,3}}\s*%?\s*({_QUALITIES})\b", 2),
            (r"\b(add|include|also)\b.*\b(about|for)\b.*\b(promis\w+|keep|tone|accura\w+|safe\w*)", 3),
            (r"def grade\s*\(|function evaluate\s*\(", 6),
            (r"\bpreset\b", 3),
        ),
    ),
    ("check_viability", ((r"\b(viab\w+|feasib\w+|quick check|probe|worth (it|training))\b", 3.2),)),
    ("run_dry_run", ((r"\bdry[- ]?run\b", 4), (r"\b(run|start|do|begin|repeat)\b.*\bevaluation\b", 3.2), (r"\bevaluate (the )?(base|model|it)\b", 3))),
    (
        "analyze_evaluation",
        ((r"\b(analy[sz]e|explain|why|interpret|what do|what does|understand|mean)\b", 1.6), (r"\b(results?|evaluation|dry[- ]?run|scores?|verdict|no-?go)\b", 2), (r"\b(why|explain|mean)\b.*\b(dry[- ]?run|scores?|verdict|no-?go)\b", 1)),
    ),
    (
        "configure_training",
        (
            (r"\b(configur\w*|set|use|change|settings?|parameters?|adjust)\b", 1.2),
            (r"\b(training settings|epochs?|learning rate|batch size|hyper-?parameters?|sft|rft|dpo|lora|reasoning effort|base model)\b", 2.6),
            (r"\bconfigur\w*\b.*\btraining\b|\btraining config\w*\b", 2.5),
        ),
    ),
    ("estimate_resources", ((r"\b(estimate|costs?|price|how much|how long|expensive|gpu|resources)\b", 3.2),)),
    ("start_training", ((r"\b(train|fine-?tune)\b", 2.8), (r"\b(start|begin|launch|kick off|run)\b.*\btraining\b", 3.4))),
    (
        "override_verdict",
        ((r"\b(override|in spite of|despite|even so|regardless|anyway)\b", 3), (r"\b(train\w*|verdict|no-?go|warning|go on)\b", 1.5)),
    ),
    ("override_deploy", ((r"\b(override|in spite of|despite|even so|regardless|anyway)\b", 3), (r"\b(deploy\w*)\b", 2))),
    (
        "advance_to_step",
        ((rf"\b(let'?s (go|move|get)|go (on|ahead)|move on|advance|proceed|skip ahead|jump)( on)? to (the )?({_STEPS})\b", 4.6),),
    ),
    ("deploy_model", ((r"\b(deploy\w*|ship it|go live|put (it )?(in|into) production|publish|roll ?out)\b", 4),)),
    (
        "try_model",
        ((r"\btry (it|the model|the tuned|them|out)\b", 3.5), (r"\b(ask|try|compare)\b", 1), (r"\b(tuned|new model|the model|side by side)\b", 1.5)),
    ),
    (
        "add_file",
        (
            (r"\b(append|merge|add|replace|swap)\b", 2),
            (r"\b((new|second|other|further|waiting|both|all( the)?|these|this|that|the) )?(files?|upload)\b", 1.6),
            (r"\bappend (it|them|this|these|both|all)\b|\bmerge (it|them|this) (in|into|by|with)\b", 2),
            (r"\breplace (the )?(data|dataset|rows|everything) (with|by)\b", 2.5),
        ),
    ),
    ("dismiss_file", ((r"\b(leave|ignore|forget|dismiss|discard)\b", 2), (r"\b(new|second|other|further|waiting|that|this|the)? ?files?\b", 2))),
    ("upload_dataset", ((r"\b(upload|re-?upload|push)\b", 2.4), (r"\b(dataset|data|backend|provider|rows)\b", 1))),
    ("sync_evaluator", ((r"\bsync\w*\b", 3.5),)),
    (
        "export_dataset",
        (
            (r"\b(export|download)\b", 3.5),
            (r"\b(csv|parquet|share ?gpt|alpaca|jsonl|spreadsheet)\b", 3.2),
            (r"\b(training|train|validation|test) (split|rows|set|side)\b", 0.8),
        ),
    ),
    ("prepare_dataset", ((r"\b(prepare|split|divide)\b", 2.4), (r"\b\d{2}\s?/\s?\d{1,2}(\s?/\s?\d{1,2})?\b", 2.4))),
    ("write_dataset_card", ((r"\b(data ?set|data) card\b|\breadme\b", 6),)),
    (
        "compare_dataset_versions",
        (
            (r"\b(compare|diff\w*|what (has )?changed|changes? (since|between)|lineage|which versions)\b", 3.2),
            (r"\b(data ?set|rows?|data)? ?versions?\b", 2.2),
        ),
    ),
    ("get_dataset_stats", ((r"\b(stats|statistics|overview|how many (rows|records|examples)|how big)\b", 3), (r"\bsummar(y|ise|ize)\b.*\bdata", 3))),
    (
        "get_dataset_records",
        ((r"\b(show|list|see|look at|view|display|read|browse)\b", 1.5), (rf"\b({_ROWS})\b", 1.3), (r"\blow[- ]confidence\b|\bneeds? review\b|\binvalid\b", 1.2)),
    ),
    ("update_record", ((r"\b(change|update|set|edit|fix|correct|put|move)\b", 1.2), (r"\b(record|row)\s+#?[\w-]*\d[\w-]*", 2.6))),
    ("validate_records", ((r"\b(re-?validate|validate|check the data|validation)\b", 3),)),
)  # fmt: skip

_COMPILED = tuple((tool, tuple((re.compile(p, re.I | re.S), w) for p, w in rows)) for tool, rows in PATTERNS)
_GIVES_A_ROW = re.compile(
    rf"\W*(please )?add (this|a|an|one|the following)( new)? ({_ROWS})\b[^:“\"]*[:“\"]", re.I
)
_CLAUSE_END = re.compile(
    r"(?<=[.!?;])\s+|\n+|,?\s+\b(?:and )?then\b,?\s+|,\s+(?=(?:run|train|deploy|generate|categori[sz]e|test|upload)\b)",
    re.I,
)
_GOAL = re.compile(
    r"\b(goal|objective|aim|so that|i want|we want|we'?d like|i'?d like|need (it|the model|our)|should (be|sound|answer|give|help|know)"
    r"|teach|learn|improve|get better|better at|train (it|a model|the model) to|fine-?tune (it|a model) (to|for))\b"
    rf"|\b({_QUALITIES})\b.*\b(answers?|repl(y|ies)|responses?|support|assistant|calculations?)\b",
    re.I,
)
_AFFIRM = re.compile(
    r"^\W*(yes|yep|yeah|sure|ok(ay)?|go ahead|do it|let'?s (do it|go)|please do|sounds good|looks good|approved?|confirm(ed)?"
    r"|perfect|great|fine|absolutely|of course|right|proceed|next|start)\b",
    re.I,
)
_DENY = re.compile(r"^\W*(no|nope|not (yet|now)|don'?t|wait|hold on|rather not|leave it)\b", re.I)
_THANKS = re.compile(r"^\W*(thanks|thank you|cheers|thx|ta)\b", re.I)
_GREETING = re.compile(r"^\W*(hi|hello|hey|good (morning|afternoon|evening))\W*$", re.I)
_HELP = re.compile(r"\b(help|what can you do|how does (this|it) work|what do you do|who are you)\b", re.I)


_THESE = re.compile(r"\b(it|this|that|these|those|them|both|all|everything)\b", re.I)
_ADD = re.compile(r"\b(append|merge|add|include|replace|swap|use)\b", re.I)
_MAKE = re.compile(
    r"\b(make|create|generate|prepare|build|produce|turn|extract)\b.*\b(data\w*|rows|examples|questions|set)\b",
    re.I,
)
_CONTINUE = re.compile(r"\b(continue|resume|carry on|go on|proceed|back to work) (with|on)\b", re.I)
_CONTINUED = (
    (r"\bgenerat", "generate_synthetic_data"),
    (r"\bcategori", "categorize_records"),
    (r"\bcoverage\b", "analyze_coverage"),
    (r"\bdry", "run_dry_run"),
    (r"\btrain", "start_training"),
    (r"\bdeploy", "deploy_model"),
)


@dataclass(frozen=True, slots=True)
class Intent:
    """`words` are the clauses that asked for it."""

    tool: str
    words: str
    score: float


def intents_of(
    text: str,
    *,
    expecting: Expecting = "",
    has_grader: bool = False,
    topics_open: bool = False,
    brought: Brought = "",
) -> list[Intent]:
    """What is asked for, in the order it is said; several clauses for one tool become one intent."""
    whole = "```" in text or "def grade" in text or outline_lines(text) >= 3 or bool(_GIVES_A_ROW.match(text))
    found: dict[str, Intent] = {}
    for clause in [text] if whole else clauses(text):
        best = _best(clause, expecting, has_grader, topics_open, brought)
        if not best.tool:
            continue
        before = found.get(best.tool)
        words = f"{before.words} {clause}" if before else clause
        found[best.tool] = Intent(best.tool, words, best.score)
    return list(found.values())[:MAX_INTENTS]


def states_goal(text: str) -> bool:
    return bool(_GOAL.search(text))


def goal_in(texts: Sequence[str]) -> str:
    """The sentences that state what the model should do; the newest text first. "" when none does."""
    for text in reversed(texts):
        stated = [clause for clause in re.split(r"(?<=[.!?])\s+|\n+", text) if states_goal(clause)]
        if stated:
            return re.sub(
                r"^\W*(the |our |my )?(goal|objective|aim)( is)?\s*[:\-–]?\s*",
                "",
                " ".join(stated),
                flags=re.I,
            ).strip()
    return ""


def mood_of(text: str) -> Mood:
    for mood, pattern in (
        ("affirm", _AFFIRM),
        ("deny", _DENY),
        ("thanks", _THANKS),
        ("greeting", _GREETING),
        ("help", _HELP),
    ):
        if pattern.search(text):
            return mood  # type: ignore[return-value]
    return ""


def expecting_of(last_reply: str) -> Expecting:
    """What our own last message asked the person for."""
    asked = " ".join(part for part in re.split(r"(?<=[.!?])\s+", last_reply) if part.endswith("?"))
    if re.search(r"\b(judged?|criteria)\b", asked, re.I):
        return "judging"
    return "goal" if re.search(r"\b(goal|get better at)\b", asked, re.I) else ""


def clauses(text: str) -> list[str]:
    return [part.strip() for part in _CLAUSE_END.split(text) if part and part.strip()]


def _best(
    clause: str, expecting: Expecting, has_grader: bool, topics_open: bool, brought: Brought = ""
) -> Intent:
    scores = {tool: sum(w for pattern, w in rows if pattern.search(clause)) for tool, rows in _COMPILED}
    _tip(scores, clause, expecting, has_grader, topics_open)
    if _THESE.search(clause):
        scores["add_file"] += 3.0 if brought == "file" and _ADD.search(clause) else 0.0
        scores["prepare_from_knowledge"] += 3.0 if brought == "documents" and _MAKE.search(clause) else 0.0
    tool = max(scores, key=lambda name: scores[name])
    return (
        Intent(tool, clause, scores[tool]) if scores[tool] >= THRESHOLD else Intent("", clause, scores[tool])
    )


def _tip(
    scores: dict[str, float], clause: str, expecting: Expecting, has_grader: bool, topics_open: bool
) -> None:
    """Moves the balance by what was asked and what is open."""
    if expecting == "judging" and not _AFFIRM.search(clause) and scores["get_workflow_status"] < THRESHOLD:
        scores["configure_grader"] += 2.2
    if has_grader and re.search(r"\b(add|remove|drop|more|less|weight)\b", clause, re.I):
        scores["configure_grader"] += 0.5
    if topics_open and re.search(r"\b(add|remove|merge|rename|move|split)\b", clause, re.I):
        scores["adjust_topics"] += 1.0
    if _CONTINUE.search(clause):
        for noun, tool in _CONTINUED:
            scores[tool] = max(scores[tool], 4.5 if re.search(noun, clause, re.I) else 0.0)
    if outline_lines(clause) >= 3:
        scores["apply_topic_hierarchy"] = 5.0
    if re.search(r"\?\s*$", clause):
        scores["start_training"] -= 0.8 if re.search(r"\b(how|is|did|has|when|why)\b", clause, re.I) else 0.0


def outline_lines(text: str) -> int:
    """Lines that look like an outline's: indented or with a bullet, and short."""
    return sum(
        bool(re.match(r"(\s{2,}|\t|\s*[-*•]\s)\S", line)) and len(line) < 80 for line in text.splitlines()
    )
