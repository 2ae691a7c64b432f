"""Many nets of one shape trained in one pass: the folds and seeds of a cross-validation together.

Their weights lie behind each other, (n_nets, ...), and `torch.func.vmap` makes one batched product
or grouped convolution of what would be many small ones. Each net has its own windows, order,
augmentations, class weights, early stopping and best weights; one that stops leaves the others.

Beside training one by one: first weights, order of the windows and augmentations are the same to
the bit; sums are taken in another order, so that weights agree to rounding; dropout draws other
masks, so that scores agree to within what another seed changes.
"""

import copy
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from neurodecode.core.seeding import derive_seed
from neurodecode.epochs.view import View
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.training.augment import Augmentation, choose_augmentations
from neurodecode.training.decoder import make_optimizer, new_history, refuse_lost
from neurodecode.training.estimator import Decoder
from neurodecode.training.net import (
    VALIDATION,
    Lesson,
    balance,
    choose_device,
    default_lr,
    fit_net,
    in_bf16,
    interruptible,
    own_random_state,
    quiet_lightning,
)
from neurodecode.training.schemes import History

Batch = tuple[Tensor, Tensor, list[int]]


def fit_together(
    nets: Sequence[nn.Module],
    lessons: Sequence[Lesson],
    train: Mapping[str, Any],
    *,
    on_fitted: Callable[[int, History], None] = lambda i, history: None,
) -> list[History]:
    """Train nets in place, each with its own windows, as `fit_net` would train each.

    Parameters
    ----------
    nets
        Of one shape, built with different seeds.
    lessons
        One for each; their windows are alike in channels and samples, and may differ in number.
    train
        Options of `fit_net`.
    on_fitted
        Called with the place of a net as soon as it has its best weights, which may be long before
        the others have theirs.

    Notes
    -----
    Nets that are too many for an accelerator's memory are trained in two halves, and nets whose
    windows are streamed are trained alone.

    Raises
    ------
    FitError
        As `fit_net`, for any of them.
    """
    options = {**_defaults(), **train}
    options["lr"] = default_lr(nets[0]) if options["lr"] is None else options["lr"]
    on = choose_device(options["device"])
    histories: dict[int, History] = {}

    def fitted(i: int, history: History) -> None:
        histories[i] = history
        on_fitted(i, history)

    # Nets in step have equally many batches; others are another pass.
    groups: dict[int, list[int]] = {}
    for i, lesson in enumerate(lessons):
        if isinstance(lesson.x, View):  # memory does not hold the windows of one
            fitted(i, fit_net(nets[i], *lesson, **train))
            continue
        groups.setdefault(max(1, round(len(lesson.x) / options["batch_size"])), []).append(i)
    for n_batches, group in groups.items():
        if len(group) == 1:
            (i,) = group
            fitted(i, fit_net(nets[i], *lessons[i], **train))
            continue
        parts = [group]
        while parts:
            going = [i for i in parts.pop() if i not in histories]
            try:
                with own_random_state(on), quiet_lightning():
                    _fit_group(nets, lessons, going, n_batches, options, on, fitted)
            except torch.OutOfMemoryError:
                if len(going) == 1:
                    raise
                parts += [going[: len(going) // 2], going[len(going) // 2 :]]
    return [histories[i] for i in range(len(nets))]


def can_train_together(net: nn.Module, n_chans: int, n_times: int) -> bool:
    """Whether nets like this can: their forward and backward pass, with stacked weights, runs."""
    if isinstance(net, SpikingDecoder):  # spikes and schemes have kernels and stages of their own
        return False
    with own_random_state(torch.device("cpu")):
        stacked = Stacked([copy.deepcopy(net).cpu() for _ in range(2)]).train()
        try:
            stacked(torch.randn(2, 2, n_chans, n_times)).square().sum().backward()
        except (RuntimeError, NotImplementedError, ValueError):
            return False
    return True


def fit_decoders(
    decoders: Sequence[Decoder],
    given: Iterable[tuple[Any, Any, Any]],
    *,
    on_fitted: Callable[[int], None] = lambda i: None,
) -> None:
    """Fit decoders of one model and one ``train``, each to its own windows, in one pass.

    Parameters
    ----------
    decoders
        Of a net that is trained from scratch; `can_train_together` says whether it can.
    given
        What `Decoder.fit` takes, for each: windows, labels, groups.
    on_fitted
        Called with the place of each decoder as soon as it is fitted.

    Raises
    ------
    FitError
        As `Decoder.fit`.
    """
    nets, lessons = [], []
    for decoder, what in zip(decoders, given, strict=True):
        begun = decoder.begin(*what)
        nets.append(begun.model)
        lessons.append(decoder.lesson(begun))

    def end(i: int, history: History) -> None:
        decoders[i].end(nets[i], history)
        on_fitted(i)

    fit_together(nets, lessons, dict(decoders[0].train or {}), on_fitted=end)


class Stacked(nn.Module):
    """Nets of one shape as one, (n_nets, batch, n_chans, n_times) to (n_nets, batch, n_outputs).

    Parameters
    ----------
    nets
        Their weights are copied.
    """

    def __init__(self, nets: Sequence[nn.Module]) -> None:
        super().__init__()
        self.one = copy.deepcopy(nets[0]).requires_grad_(False)
        weights = [dict(net.named_parameters()) for net in nets]
        self.names = list(weights[0])
        self.weights = nn.ParameterList(
            nn.Parameter(
                torch.stack([own[name].detach() for own in weights]),
                requires_grad=weights[0][name].requires_grad,
            )
            for name in self.names
        )
        states = [net.state_dict() for net in nets]
        # What is not kept in a checkpoint is the same in all nets, such as a matrix that averages.
        self.memory = {
            name: torch.stack([state[name] for state in states])
            for name, _ in nets[0].named_buffers()
            if name in states[0]
        }

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each net's own windows."""

        def ask(weights: tuple[Tensor, ...], memory: dict[str, Tensor], x: Tensor) -> Any:
            own = {**dict(zip(self.names, weights, strict=True)), **memory}
            return functional_call(self.one, own, (x,))

        # Fused attention on a CPU knows nothing of stacked weights; for so few tokens products do.
        with sdpa_kernel(SDPBackend.MATH):
            logits: Tensor = vmap(ask, randomness="different")(tuple(self.weights), self.memory, x)
        return logits

    def weights_of(self, k: int) -> dict[str, Tensor]:
        """State of the k-th net, a copy."""
        trained = zip(self.names, self.weights, strict=True)
        state = {name: value[k].detach().clone() for name, value in trained}
        return {**state, **{name: value[k].clone() for name, value in self.memory.items()}}

    def keep(self, which: Tensor) -> None:
        """Go on with some of the nets, by their places."""
        for weight in self.weights:
            weight.data = weight.data[which]
            weight.grad = None
        self.memory = {name: value[which] for name, value in self.memory.items()}


class Windows:
    """Windows of several nets behind each other, and batches that take some of each.

    Parameters
    ----------
    pairs
        Windows (n, n_chans, n_times) and classes (n,) of each net.
    n_batches
        In a pass.
    generators
        Draw each net's order anew for each pass, as `Batches` does; none for the order as it is.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Tensor, Tensor]],
        n_batches: int,
        generators: Sequence[Generator] = (),
    ) -> None:
        self.n_batches, self.generators = n_batches, list(generators)
        self.sizes = [len(x) for x, _ in pairs]
        self.starts = np.cumsum([0, *self.sizes[:-1]]).tolist()
        self.x = torch.cat([x for x, _ in pairs])
        self.y = torch.cat([y for _, y in pairs])

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Batch]:
        """Windows (n_nets, batch, n_chans, n_times), classes (n_nets, batch), and how many count.

        Batches of one net differ in size by one window at most; one that is smaller than another
        net's is filled with a window of its own, which does not count.
        """
        parts = []
        for k, (start, size) in enumerate(zip(self.starts, self.sizes, strict=True)):
            own = self.generators[k] if self.generators else None
            order = torch.randperm(size, generator=own) if own else torch.arange(size)
            parts.append((start + order).tensor_split(self.n_batches))
        for batch in zip(*parts, strict=True):
            sizes = [len(part) for part in batch]
            index = torch.stack([_filled(part, max(sizes)) for part in batch]).to(self.x.device)
            yield self.x[index], self.y[index], sizes

    def keep(self, which: Sequence[int]) -> None:
        """Go on with the windows of some of the nets."""
        self.sizes = [self.sizes[k] for k in which]
        self.starts = [self.starts[k] for k in which]
        if self.generators:
            self.generators = [self.generators[k] for k in which]


def _filled(part: Tensor, n: int) -> Tensor:
    """`n` of something of which there are fewer: the first stands for those that lack."""
    if len(part) == n:
        return part
    return torch.cat([part, part[:1].expand(n - len(part), *part.shape[1:])])


class TogetherModule(pl.LightningModule):
    """Nets that learn classes of windows, each its own; otherwise as `DecoderModule`.

    Parameters
    ----------
    nets
        Stacked.
    class_weights
        Weight of each class in each net, (n_nets, n_outputs).
    augmentations, generators
        Applied to each net's batch with its own generator.
    windows
        Of training and validation; both forget nets that have stopped.
    on_fitted
        Called with the place of a net in the order in which they were given, its best weights and
        its history.
    options
        Of `fit_net`.
    """

    def __init__(
        self,
        nets: Stacked,
        class_weights: Tensor,
        *,
        augmentations: Sequence[Augmentation],
        generators: Sequence[Generator],
        windows: tuple[Windows, Windows],
        on_fitted: Callable[[int, Mapping[str, Tensor], History], None],
        options: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.nets, self.class_weights = nets, class_weights
        self.augmentations, self.generators = augmentations, list(generators)
        self.windows, self.on_fitted, self.options = windows, on_fitted, options
        self.places = list(range(len(class_weights)))
        self.histories: list[History] = [new_history() for _ in self.places]
        self.best: list[Mapping[str, Tensor]] = [{} for _ in self.places]
        self._sums: list[Tensor] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Sum of the nets' losses: each one's gradient is its own."""
        x, classes, sizes = batch
        y = nn.functional.one_hot(classes, self.class_weights.shape[1]).to(x.dtype)
        if self.augmentations:
            pairs = [
                self._augmented(*own) for own in zip(x, y, sizes, self.generators, strict=True)
            ]
            x, y = (torch.stack(part) for part in zip(*pairs, strict=True))
        smooth = self.options["label_smoothing"]
        y = (1 - smooth) * y + smooth / y.shape[2]
        losses, _ = self._entropy(self.nets(x), y, self._counting(x, sizes))
        self._sums.append(losses.detach())
        return losses.sum()

    def on_train_epoch_end(self) -> None:
        """Keep the mean losses; without windows to choose by, nets end with the last epoch.

        Raises
        ------
        FitError
            If one is not a number.
        """
        losses = torch.stack(self._sums).mean(dim=0).tolist()
        self._sums.clear()
        for place, loss in zip(self.places, losses, strict=True):
            refuse_lost(loss, self.current_epoch, self.options["lr"])
            self.histories[place]["train_loss"].append(loss)
        self._finish(last=self.current_epoch + 1 == self.trainer.max_epochs)

    def on_validation_epoch_start(self) -> None:
        """Begin new sums."""
        self._val: list[Tensor] = []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep losses and hits of a batch."""
        x, classes, sizes = batch
        logits, weight = self.nets(x), self._counting(x, sizes)
        y = nn.functional.one_hot(classes, logits.shape[2]).to(x.dtype)
        losses, total = self._entropy(logits, y, weight)
        hits = ((logits.argmax(dim=2) == classes) * weight).sum(dim=1)
        sums = [torch.where(total > 0, losses * total, 0), total, hits, weight.sum(dim=1)]
        self._val.append(torch.stack(sums))

    def on_validation_epoch_end(self) -> None:
        """Keep losses and accuracies, and the weights of nets that have never been better."""
        loss, weight, hits, n = torch.stack(self._val).sum(dim=0).tolist()
        for k, place in enumerate(self.places):
            history = self.histories[place]
            history["val_loss"].append(loss[k] / weight[k])
            history["val_accuracy"].append(hits[k] / n[k])
            if best_of(history["val_loss"]) == len(history["val_loss"]):
                self.best[place] = self.nets.weights_of(k)

    def configure_optimizers(self) -> Any:
        """As for a single net: what is a vector there has no weight decay here."""
        pairs = [(p, p.ndim > 2) for p in self.nets.weights if p.requires_grad]
        names = ("lr", "weight_decay", "schedule", "warmup")
        course = {name: self.options[name] for name in names}
        return make_optimizer(pairs, int(self.trainer.estimated_stepping_batches), **course)

    def _augmented(
        self, x: Tensor, y: Tensor, size: int, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """Windows of one net, and their classes; draws depend on those that count alone."""
        n, x, y = len(x), x[:size], y[:size]
        for augment in self.augmentations:
            x, y = augment(x, y, generator)
        return _filled(x, n), _filled(y, n)

    @staticmethod
    def _counting(x: Tensor, sizes: Sequence[int]) -> Tensor:
        """1 for windows that count, (n_nets, batch)."""
        places = torch.arange(x.shape[1], device=x.device)
        return (places < torch.tensor(sizes, device=x.device).unsqueeze(1)).to(x.dtype)

    def _entropy(self, logits: Tensor, y: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Each net's mean cross-entropy weighted by class, and the sum of the weights."""
        weighted = y * self.class_weights.unsqueeze(1) * weight.unsqueeze(2)
        total = weighted.sum(dim=(1, 2))
        return -(weighted * logits.float().log_softmax(dim=2)).sum(dim=(1, 2)) / total, total

    def _finish(self, *, last: bool) -> None:
        """Hand over the nets that are done, and go on with the others."""
        going = []
        for k, place in enumerate(self.places):
            losses = self.histories[place]["val_loss"]
            stale = bool(losses) and len(losses) - best_of(losses) >= self.options["patience"]
            if not (stale or last):
                going.append(k)
                continue
            best = float(best_of(losses) or len(self.histories[place]["train_loss"]))
            state = self.best[place] or self.nets.weights_of(k)
            self.on_fitted(place, state, {**self.histories[place], "best_epoch": [best]})
            self.best[place] = {}
        if not going:
            self.trainer.should_stop = True
        elif len(going) < len(self.places):
            self._go_on(going)

    def _go_on(self, going: list[int]) -> None:
        which = torch.tensor(going, device=self.class_weights.device)
        self.nets.keep(which)
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        for state in optimizer.state.values():
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = state[name][which]
        self.class_weights = self.class_weights[which]
        for windows in self.windows:
            windows.keep(going)
        self.places = [self.places[k] for k in going]
        self.generators = [self.generators[k] for k in going]


def best_of(losses: Sequence[float]) -> int:
    """Epoch with the lowest loss, from 1, the first of several; 0 if there is none."""
    known = [loss for loss in losses if not math.isnan(loss)]
    return losses.index(min(known)) + 1 if known else 0


def _defaults() -> dict[str, Any]:
    given = inspect.signature(fit_net).parameters.values()
    return {p.name: p.default for p in given if p.kind is p.KEYWORD_ONLY}


def _fit_group(
    nets: Sequence[nn.Module],
    lessons: Sequence[Lesson],
    group: Sequence[int],
    n_batches: int,
    options: Mapping[str, Any],
    on: torch.device,
    fitted: Callable[[int, History], None],
) -> None:
    """Train nets that have equally many batches."""
    chosen = [nets[i].to(on).train() for i in group]
    given = [lessons[i] for i in group]
    sides = [
        tuple(torch.as_tensor(np.asarray(part), device=on) for part in lesson[:4])
        for lesson in given
    ]
    longest = max(len(side[2]) for side in sides)
    training = Windows(
        [side[:2] for side in sides],  # type: ignore[misc]
        n_batches,
        [Generator().manual_seed(derive_seed(lesson.seed, "order")) for lesson in given],
    )
    validation = Windows([side[2:] for side in sides], max(1, math.ceil(longest / VALIDATION)))  # type: ignore[misc]
    even = options["class_weights"] == "balanced"

    def keep(k: int, state: Mapping[str, Tensor], history: History) -> None:
        net = chosen[k]
        net.load_state_dict(state)
        net.eval()
        fitted(group[k], history)

    module = TogetherModule(
        Stacked(chosen),
        torch.stack(
            [balance(net, *side[:2], even=even) for net, side in zip(chosen, sides, strict=True)]
        ),
        augmentations=choose_augmentations(options["augment"]),
        generators=[
            Generator(on).manual_seed(derive_seed(lesson.seed, "augment")) for lesson in given
        ],
        windows=(training, validation),
        on_fitted=keep,
        options=options,
    )
    torch.manual_seed(derive_seed(given[0].seed, "train"))
    trainer = pl.Trainer(
        max_epochs=options["epochs"],
        accelerator=on.type,
        devices=1 if on.index is None or on.type == "cpu" else [on.index],
        precision="bf16-mixed" if in_bf16(options["precision"], on) else "32-true",
        barebones=True,
        limit_val_batches=1.0 if longest else 0,
    )
    with interruptible():
        trainer.fit(module, train_dataloaders=training, val_dataloaders=validation)
