"""A fitted decoder says live what it says of the same windows offline."""

from typing import Any

import numpy as np
import pytest
import torch

from neurodecode.core.errors import ConfigError
from neurodecode.core.stopping import StopRule
from neurodecode.online.pipeline import LivePipeline
from neurodecode.online.score import Classical, InParts, Net, Stream, scorer_of
from neurodecode.training.estimator import Decoder

SFREQ, N_CHANS, N_TIMES = 64.0, 4, 64
NAMES = ("C3", "Cz", "C4", "Pz")


def windows(n: int = 24) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    x = 10 * rng.standard_normal((n, N_CHANS, N_TIMES)).astype(np.float32)
    x[y == 1, 0] *= 3
    return x, y


def fitted(name: str, **options: Any) -> Decoder:
    train = {"epochs": 1} if name not in ("csp_lda", "ts_lr") else {}
    decoder = Decoder(name, sfreq=SFREQ, ch_names=NAMES, options=options, train=train)
    return decoder.fit(*windows())


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("csp_lda", {}, Classical),
        ("ts_lr", {}, Classical),
        ("dbconformer", {}, Net),
        ("spiking_lmu", {}, Stream),
        ("spiking_eegnet", {"time": "stream"}, Stream),
        ("spiking_eegnet", {"time": "window", "n_steps": 4}, Net),
        ("spiking_lmu", {"mixer": "ssa"}, Net),  # sums all steps: it takes windows, not streams
    ],
)
def test_a_window_is_scored_as_by_the_decoder(
    name: str, options: dict[str, Any], kind: type
) -> None:
    decoder, x = fitted(name, **options), windows()[0][:5]
    scorer = scorer_of(decoder)
    assert type(scorer) is kind
    said = [scorer.window(window)[0] for window in x]
    np.testing.assert_allclose(said, decoder.predict_proba(x), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"), [("spiking_lmu", {}), ("spiking_eegnet", {"time": "stream"})]
)
@pytest.mark.parametrize("chunk", [1, 7, 32])
def test_a_streaming_net_hears_each_sample_once_and_says_what_one_long_pass_says(
    name: str, options: dict[str, Any], chunk: int
) -> None:
    decoder = fitted(name, **options)
    net = decoder.model_
    x = 10e-6 * np.random.default_rng(1).standard_normal((N_CHANS, 400))
    engine = LivePipeline(
        ch_names=NAMES, classes=("a", "b"), sfreq=SFREQ, n_times=N_TIMES, scorer=scorer_of(decoder)
    ).engine(SFREQ, hop=0.1)
    said = []
    for i in range(0, 400, chunk):
        part = slice(i, i + chunk)
        said += engine.push(x[:, part], np.arange(400)[part] / SFREQ, now=0.0)
    said = [d for d in said if d.status.valid]
    assert len(said) > 30
    ready = torch.from_numpy(decoder.normalized(np.float32(1e6 * x)[None]))
    lengths = [*net.time.lengths]
    lengths += [net.hop] * ((400 - N_TIMES) // net.hop)
    with torch.inference_mode():
        steps, _ = net.advance(ready[:, :, : sum(lengths)], lengths, None)
    logits, ends = steps[:, 0].double().numpy(), np.cumsum(lengths)
    n_steps = len(net.time.lengths)
    for decision in said:
        last = int(np.searchsorted(ends, decision.sample + 1))
        mean = logits[last + 1 - n_steps : last + 1].mean(axis=0)
        wanted = np.exp(mean) / np.exp(mean).sum()
        np.testing.assert_allclose(decision.proba, wanted, atol=1e-6)


def test_a_rule_answers_before_the_window_is_over_and_says_what_the_whole_would_there() -> None:
    decoder, x = fitted("spiking_eegnet", time="window", n_steps=4), windows()[0]
    rule = StopRule(name="fixed", bounds=(np.inf, -1.0, -1.0, -1.0), temperatures=(1.0,) * 4)
    scorer = scorer_of(decoder, rule)
    assert isinstance(scorer, InParts)
    engine = LivePipeline(
        ch_names=NAMES, classes=("a", "b"), sfreq=SFREQ, n_times=N_TIMES, scorer=scorer
    ).engine(SFREQ, cued=True)
    stream = 1e-6 * np.concatenate(list(x[:6]), axis=1).astype(np.float64)
    said, stamps = [], np.arange(stream.shape[1]) / SFREQ
    for i in range(0, stream.shape[1], 8):
        if i % N_TIMES == 0:
            engine.cue(i / SFREQ)
        said += engine.push(stream[:, i : i + 8], stamps[i : i + 8], now=0.0)
    steps = decoder.step_logits(
        np.float32(1e6 * stream.reshape(N_CHANS, 6, N_TIMES)).swapaxes(0, 1)
    )
    _, wanted = rule.apply(steps)
    half = N_TIMES // 2
    assert [d.sample for d in said] == [i * N_TIMES + half - 1 for i in range(6)]
    np.testing.assert_allclose([d.proba for d in said], wanted, atol=1e-5)


def test_a_rule_for_a_decoder_that_decides_once_is_refused() -> None:
    rule = StopRule(name="fixed", bounds=(-1.0,), temperatures=(1.0,))
    with pytest.raises(ConfigError, match="spiking"):
        scorer_of(fitted("csp_lda"), rule)


def test_a_part_that_cannot_be_trusted_is_the_one_answer_to_its_cue() -> None:
    decoder = fitted("spiking_eegnet", time="window", n_steps=4)
    rule = StopRule(name="fixed", bounds=(np.inf, -1.0, -1.0, -1.0), temperatures=(1.0,) * 4)
    engine = LivePipeline(
        ch_names=NAMES, classes=("a", "b"), sfreq=SFREQ, n_times=N_TIMES,
        scorer=scorer_of(decoder, rule),
    ).engine(SFREQ, cued=True)  # fmt: skip
    x = 1e-5 * np.random.default_rng(2).standard_normal((N_CHANS, 4 * N_TIMES))
    x[0, N_TIMES + 5] = np.nan  # in the first part of the second window
    x[0, 2 * N_TIMES + 50] = np.nan  # after the third has been answered
    for i in range(4):
        engine.cue(i * N_TIMES / SFREQ)
    said = engine.push(x, np.arange(4 * N_TIMES) / SFREQ, now=0.0)
    words = [d.status.words for d in said]
    assert words == ["ok", "bad-channels", "ok", "ok"]
    assert engine.parts == {}


def test_cues_that_overlap_are_each_answered_from_their_own_window() -> None:
    decoder = fitted("spiking_eegnet", time="window", n_steps=4)
    rule = StopRule(name="fixed", bounds=(-1.0,) * 4, temperatures=(1.0,) * 4)
    engine = LivePipeline(
        ch_names=NAMES, classes=("a", "b"), sfreq=SFREQ, n_times=N_TIMES, align="euclidean:causal",
        scorer=scorer_of(decoder, rule),
    ).engine(SFREQ, cued=True)  # fmt: skip
    for cue in (0.0, 0.5, 1.5):
        engine.cue(cue)
    x = 1e-5 * np.random.default_rng(2).standard_normal((N_CHANS, 4 * N_TIMES))
    said = engine.push(x, np.arange(4 * N_TIMES) / SFREQ, now=0.0)
    # The first has to be whole, and the second began before anything was known to align it to.
    assert [d.sample for d in said] == [63, 95, 96 + 15]
    assert engine.parts == {}
