import subprocess
import sys

import pytest

from neurodecode.alignment import ALIGNERS
from neurodecode.core.errors import UnknownName
from neurodecode.models import MODELS


def test_names_are_found_without_importing_what_they_name() -> None:
    code = (
        "import sys\nfrom neurodecode.models import MODELS\n"
        "assert 'dbconformer' in MODELS.names() and MODELS.summary('csp_lda')\n"
        "assert not {'torch', 'sklearn', 'moabb', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"No model is called 'csp_ldaa'. Did you mean 'csp_lda'"):
        MODELS.get("csp_ldaa")


def test_every_part_says_in_one_line_what_it_is() -> None:
    for registry in (MODELS, ALIGNERS):
        assert registry.names()
        assert all(registry.summary(name) for name in registry.names())


def test_getting_a_part_imports_the_file_that_registers_it() -> None:
    assert ALIGNERS.get("euclidean").__name__ == "Euclidean"
