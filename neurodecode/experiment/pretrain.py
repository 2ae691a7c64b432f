"""Plans the pretraining of a backbone, and carries it out."""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurodecode.core.errors import CheckpointError
from neurodecode.core.options import keywords
from neurodecode.experiment.choices import Tree, to_toml
from neurodecode.experiment.corpus import Corpus, Source, find_sources, read_corpus
from neurodecode.experiment.data import Report
from neurodecode.models import BACKBONES
from neurodecode.results.pretraining import write_curve
from neurodecode.results.provenance import environment, library_versions, source_digest
from neurodecode.results.store import Run, Store

logger = logging.getLogger(__name__)

WHERE = ("device", "strategy", "save_every", "workers")
"""Options of ``[train]`` that say where and how it runs, and not what comes out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainPlan:
    """What a run will do.

    Attributes
    ----------
    choices
        Resolved.
    sources, corpus
        Data sets and their people; their recordings.
    sfreq, n_params
        Of the backbone: its rate, Hz, and how many numbers it has.
    key
        Changes with everything that could change the weights.
    """

    choices: Tree
    sources: Sequence[Source]
    corpus: Corpus
    sfreq: float
    n_params: int
    key: str

    @property
    def model(self) -> str:
        """Name of the backbone."""
        return str(self.choices["models"][0])

    @property
    def options(self) -> dict[str, Any]:
        """Those of the backbone that were chosen."""
        return dict(self.choices["model"].get(self.model, {}))

    @property
    def dataset(self) -> str:
        """The data sets, in words."""
        return "+".join(source.card.name for source in self.sources)

    @property
    def run_id(self) -> str:
        """Name of the run's folder: what could give other weights has another."""
        return f"pretrain-{self.model}-{self.dataset}-{self.key[:8]}"

    @property
    def simulated(self) -> bool:
        """Whether recordings are simulated, all or some."""
        return any(source.card.simulated for source in self.sources)

    @property
    def seen(self) -> list[dict[str, str]]:
        """Everybody whose recordings are used, as a checkpoint lists them."""
        return [person for source in self.sources for person in source.seen]

    @property
    def meta(self) -> dict[str, Any]:
        """What ``meta.json`` says before it is finished."""
        return {
            "paradigm": "pretrain",
            "model": self.model,
            "options": self.options,
            "dataset": self.dataset,
            "simulated": self.simulated,
            "sfreq": self.sfreq,
            "n_params": self.n_params,
            "seen": self.seen,
            "notes": self.corpus.notes,
            "data": self.corpus.digest,
            "finished": False,
            "folds": [],
            **environment(),
        }


def pretrain(
    choices: Tree,
    runs: Path,
    *,
    report: Report = lambda words, done, total: None,
    on_plan: Callable[[PretrainPlan, Run], None] = lambda plan, run: None,
    on_start: Callable[[int], None] = lambda step: None,
    on_moment: Callable[[Any], None] = lambda moment: None,
    on_validation: Callable[[Sequence[Any]], None] = lambda rows: None,
) -> Run:
    """Read the recordings, train the backbone from where it was, and return the run.

    Processes that help in the training (``ddp`` starts the same command again) end here.

    Parameters
    ----------
    choices
        As `resolve_pretrain` returns them.
    runs
        Folder of runs.
    report, on_plan, on_start, on_moment, on_validation
        Called while reading, when the plan is made, and as `pretrain_backbone` says.
    """
    from neurodecode.training.pretrain import is_leader, pretrain_backbone

    if not is_leader():
        plan, backbone = make_pretrain_plan(choices)
        folder = resume_folder(Store(runs).run(plan.run_id))
        corpus = plan.corpus
        pretrain_backbone(
            backbone,
            corpus.train,
            corpus.held_out,
            folder,
            pretext=choices["pretext"],
            **choices["train"],
        )
        raise SystemExit(0)
    store = Store.open(runs)
    plan, backbone = make_pretrain_plan(choices, report)
    run = store.run(plan.run_id)
    on_plan(plan, run)
    if is_finished(run):
        return run
    _tell_of_others(store, run, choices)
    run.describe(to_toml(choices), plan.meta)

    def keep_curve(rows: Sequence[Any]) -> None:
        write_curve(run, rows)
        on_validation(rows)

    trained = pretrain_backbone(
        backbone,
        plan.corpus.train,
        plan.corpus.held_out,
        resume_folder(run),
        on_start,
        on_moment,
        keep_curve,
        choices["pretext"],
        **choices["train"],
    )
    _finish(run, plan, backbone, trained)
    return run


def make_pretrain_plan(
    choices: Tree, report: Report = lambda words, done, total: None
) -> tuple[PretrainPlan, Any]:
    """What a run will do, with its recordings read; and the backbone, with random weights."""
    from neurodecode.training.pretrain import window_samples

    backbone = _build(choices)
    n_times = window_samples(backbone, choices["train"]["window"])
    sources = find_sources(choices)
    corpus = read_corpus(choices, sources, sfreq=backbone.sfreq, n_times=n_times, report=report)
    plan = PretrainPlan(
        choices=choices,
        sources=sources,
        corpus=corpus,
        sfreq=backbone.sfreq,
        n_params=sum(p.numel() for p in backbone.parameters()),
        key=_key(choices, corpus),
    )
    return plan, backbone


def preview_pretrain(choices: Tree) -> dict[str, Any]:
    """What a run would do; no recording is read, nothing is trained."""
    from neurodecode.training.pretrain import window_samples

    backbone = _build(choices)
    window_samples(backbone, choices["train"]["window"])
    sources = find_sources(choices)
    people = {
        source.card.name: f"{len(source.subjects) - len(source.held_out)} people to learn from, "
        f"{len(source.held_out)} held out{', SIMULATED' if source.card.simulated else ''}"
        for source in sources
    }
    n_params = sum(p.numel() for p in backbone.parameters())
    return {**people, "sfreq": backbone.sfreq, "models": {choices["models"][0]: n_params}}


def backbone_file(run: Run) -> Path:
    """Where the pretrained backbone is, or will be."""
    return run.path / "checkpoints" / "backbone.safetensors"


def resume_folder(run: Run) -> Path:
    """Where an unfinished training keeps its states."""
    return run.path / "resume"


def is_finished(run: Run) -> bool:
    """Whether the run has a whole backbone; a damaged one is reported, and counts as none."""
    from neurodecode.training.pretrained import load_pretrained

    if not backbone_file(run).exists():
        return False
    try:
        load_pretrained(backbone_file(run))
    except CheckpointError as error:
        logger.warning("%s It is made again.", error)
        return False
    return True


def _build(choices: Tree) -> Any:
    from neurodecode.training.pretrained import build_backbone

    name = choices["models"][0]
    return build_backbone(name, choices["model"].get(name, {}), choices["train"]["seed"])


def _key(choices: Tree, corpus: Corpus) -> str:
    name = choices["models"][0]
    backbone = BACKBONES.get(name)
    usual = {key: p.default for key, p in keywords(backbone).items()}
    of_task = {key: p.default for key, p in keywords(backbone.pretext).items()}  # type: ignore[attr-defined]
    words = {
        "model": name,
        "options": {**usual, **choices["model"].get(name, {})},
        "pretext": {**of_task, **choices["pretext"]},
        "train": {k: v for k, v in choices["train"].items() if k not in WHERE},
        "data": corpus.digest,
        "versions": library_versions(),
        "code": source_digest(BACKBONES.find(name).module),
    }
    return hashlib.sha256(json.dumps(words, sort_keys=True, default=str).encode()).hexdigest()


def _tell_of_others(store: Store, run: Run, choices: Tree) -> None:
    """Say that an unfinished run with the same choices is not gone on with."""
    if resume_folder(run).is_dir():
        return
    for other in store.runs():
        config = other.path / "config.toml"
        if (
            other.path != run.path
            and any(resume_folder(other).glob("step-*"))
            and config.read_text("utf-8") == to_toml(choices)
        ):
            logger.warning(
                "%s, unfinished, has the same choices, but was made by other code, libraries or "
                "recordings: a new run begins, and that one stays as it is.",
                other.path,
            )


def _finish(run: Run, plan: PretrainPlan, backbone: Any, trained: Any) -> None:
    """Keep the backbone and its curve, then remove the states: from now on it is finished."""
    from neurodecode.training.pretrained import save_pretrained

    backbone.load_state_dict(trained.weights)
    facts = {
        "kept": plan.choices["train"]["keep"],
        "step": trained.step,
        "n_steps": trained.n_steps,
        "seconds": trained.seconds,
    }
    write_curve(run, trained.rows)
    save_pretrained(
        backbone_file(run),
        model=plan.model,
        options=plan.options,
        backbone=backbone,
        seen=plan.seen,
        history=[row for row in trained.rows if row["part"] == "validation"],
        more={
            **facts,
            "run": run.id,
            "simulated": plan.simulated,
            "choices": plan.choices,
            "environment": environment(),
        },
    )
    run.describe(to_toml(plan.choices), {**plan.meta, **facts, "finished": True})
    shutil.rmtree(resume_folder(run), ignore_errors=True)
