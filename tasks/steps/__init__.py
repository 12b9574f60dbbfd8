"""Every operation by name. Adding one is a file here and one line in `OPERATIONS`."""

from __future__ import annotations

from tasks.step import Step, registry
from tasks.steps.categorize import CATEGORIZE
from tasks.steps.check_viability import CHECK_VIABILITY
from tasks.steps.deploy import DEPLOY
from tasks.steps.dry_run import DRY_RUN
from tasks.steps.erase import ERASE
from tasks.steps.export import EXPORT
from tasks.steps.finish_training import FINISH_TRAINING
from tasks.steps.generate import GENERATE
from tasks.steps.generate_preview import GENERATE_PREVIEW
from tasks.steps.ingest import INGEST
from tasks.steps.propose_topics import PROPOSE_TOPICS
from tasks.steps.start_training import START_TRAINING
from tasks.steps.test_grader import TEST_GRADER
from tasks.steps.try_model import TRY_MODEL
from tasks.steps.upload_dataset import UPLOAD_DATASET
from tasks.steps.validate import VALIDATE

OPERATIONS: dict[str, Step] = registry(
    INGEST,
    VALIDATE,
    PROPOSE_TOPICS,
    CATEGORIZE,
    GENERATE_PREVIEW,
    GENERATE,
    TEST_GRADER,
    UPLOAD_DATASET,
    CHECK_VIABILITY,
    DRY_RUN,
    START_TRAINING,
    FINISH_TRAINING,
    DEPLOY,
    TRY_MODEL,
    EXPORT,
    ERASE,
)
