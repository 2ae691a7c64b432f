"""Is it the input times the gradient?"""

import numpy as np
from captum.attr import InputXGradient
from toy_decoders import N_CHANS, N_TIMES, Linear, Power, holding, noise, rhythm

from neurodecode.explain.input_x_gradient import input_x_gradient
from neurodecode.explain.integrated_gradients import integrated_gradients


def test_of_a_linear_net_it_is_the_integrated_gradient() -> None:
    decoder = holding(Linear(np.random.default_rng(0).standard_normal((N_CHANS, N_TIMES))))
    windows = noise()
    one, many = input_x_gradient(decoder, windows), integrated_gradients(decoder, windows)
    assert one is not None
    assert many is not None
    assert one.kinds.keys() == many.kinds.keys()
    for kind, values in one.kinds.items():
        np.testing.assert_allclose(values, many.kinds[kind], rtol=1e-4, atol=1e-4)


def test_it_is_what_captum_says() -> None:
    import torch

    decoder, windows = holding(Power()), rhythm()
    maps = input_x_gradient(decoder, windows)
    assert maps is not None
    x = torch.from_numpy(decoder.normalized(windows.x)).requires_grad_()
    # The margin of one of two classes is twice its logit here.
    found = 2 * InputXGradient(decoder.model_).attribute(x, target=torch.from_numpy(windows.y))
    size = found.abs().sum(dim=2).detach().numpy()
    np.testing.assert_allclose(maps.kinds["chan"], windows.by_class(size), rtol=1e-4)


def test_of_a_square_it_is_twice_the_integrated_gradient() -> None:
    decoder, windows = holding(Power()), rhythm()
    one, many = input_x_gradient(decoder, windows), integrated_gradients(decoder, windows)
    assert one is not None
    assert many is not None
    np.testing.assert_allclose(one.kinds["chan"], 2 * many.kinds["chan"], rtol=1e-4)
