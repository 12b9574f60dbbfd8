"""Settings: from the environment over a file, with errors that name the setting and never its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.settings import Settings, SettingsError, load


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BUDGET_USD", "FINETUNE_CONFIG", "ALLOWED_PROVIDERS", "OPENAI_BASE_URL", "LIMITS", "PRICES"):
        monkeypatch.delenv(name, raising=False)


def test_a_wrong_value_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGET_USD", "s3cret")
    with pytest.raises(SettingsError, match="BUDGET_USD") as refused:
        load()
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("limits: {max_rowz: 5}", "LIMITS.max_rowz"),
        ("- a list", "must hold"),
        ("limits: {", "cannot be read"),
    ],
)
def test_a_wrong_file_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, named: str
) -> None:
    path = tmp_path / "finetune.yaml"
    path.write_text(content)
    monkeypatch.setenv("FINETUNE_CONFIG", str(path))
    with pytest.raises(SettingsError, match=f"(?i){named}"):
        load()


def test_a_file_sets_limits_and_prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "finetune.yaml"
    path.write_text("limits: {max_rows: 7}\nprices:\n  my: {input: 2}\n  my-model: {input: 3}\n")
    monkeypatch.setenv("FINETUNE_CONFIG", str(path))
    found = load()
    assert found.limits.max_rows == 7
    assert found.price("my-model-large").input == 3
    assert found.price("my-other").input == 2
    assert found.price("unknown").input == 1.0


@pytest.mark.parametrize(
    ("listed", "allowed"),
    [
        ("models.test:8080", True),
        ("models.test", True),
        ("http://models.test:8080/v1", True),
        ("openai", True),
        ("elsewhere.test", False),
        ("", False),
    ],
)
def test_listing_a_provider_is_consent(listed: str, allowed: bool) -> None:
    names = tuple(name for name in listed.split(",") if name)
    assert (
        Settings(openai_base_url="http://models.test:8080/v1", allowed_providers=names).allows_provider()
        is allowed
    )
