"""Every operation by name. Adding one is a file here and one line in `OPERATIONS`."""

from __future__ import annotations

from tasks.step import Step, registry
from tasks.steps.augment import AUGMENT
from tasks.steps.bootstrap import BOOTSTRAP
from tasks.steps.categorize import CATEGORIZE
from tasks.steps.change_rows import CHANGE_ROWS
from tasks.steps.check_viability import CHECK_VIABILITY
from tasks.steps.clean import CLEAN
from tasks.steps.compare_versions import COMPARE_VERSIONS
from tasks.steps.dataset_card import DATASET_CARD
from tasks.steps.deploy import DEPLOY
from tasks.steps.dry_run import DRY_RUN
from tasks.steps.erase import ERASE
from tasks.steps.export import EXPORT
from tasks.steps.find_near_duplicates import FIND_NEAR_DUPLICATES
from tasks.steps.find_rows import FIND_ROWS
from tasks.steps.finish_training import FINISH_TRAINING
from tasks.steps.generate import GENERATE
from tasks.steps.generate_preview import GENERATE_PREVIEW
from tasks.steps.ingest import INGEST
from tasks.steps.inspect_cleaning import INSPECT_CLEANING
from tasks.steps.merge import MERGE
from tasks.steps.prepare_dataset import PREPARE_DATASET
from tasks.steps.prepare_knowledge import PREPARE_KNOWLEDGE
from tasks.steps.propose_knowledge import PROPOSE_KNOWLEDGE
from tasks.steps.propose_topics import PROPOSE_TOPICS
from tasks.steps.propose_topics_from_documents import PROPOSE_TOPICS_FROM_DOCUMENTS
from tasks.steps.read_documents import READ_DOCUMENTS
from tasks.steps.start_training import START_TRAINING
from tasks.steps.test_grader import TEST_GRADER
from tasks.steps.try_model import TRY_MODEL
from tasks.steps.upload_dataset import UPLOAD_DATASET
from tasks.steps.validate import VALIDATE

OPERATIONS: dict[str, Step] = registry(
    INGEST,
    MERGE,
    VALIDATE,
    READ_DOCUMENTS,
    PROPOSE_KNOWLEDGE,
    PREPARE_KNOWLEDGE,
    PROPOSE_TOPICS,
    PROPOSE_TOPICS_FROM_DOCUMENTS,
    CATEGORIZE,
    GENERATE_PREVIEW,
    GENERATE,
    AUGMENT,
    BOOTSTRAP,
    TEST_GRADER,
    UPLOAD_DATASET,
    CHECK_VIABILITY,
    DRY_RUN,
    START_TRAINING,
    FINISH_TRAINING,
    DEPLOY,
    TRY_MODEL,
    EXPORT,
    DATASET_CARD,
    COMPARE_VERSIONS,
    PREPARE_DATASET,
    FIND_ROWS,
    CHANGE_ROWS,
    INSPECT_CLEANING,
    CLEAN,
    FIND_NEAR_DUPLICATES,
    ERASE,
)
