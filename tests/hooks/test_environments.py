"""Environments that there are, and those that there are not."""

import shutil

import pytest


def test_an_unknown_environment_is_refused_by_name(project):
    allowed = "allowed are base, benchmark, cluster, large, local, reference, test"
    with pytest.raises(ValueError, match=rf"there is no environment 'tset' in .*conf; {allowed}"):
        project.run("pca", env="tset")
    assert not (project.path / "mlruns").exists()


def test_a_configuration_without_local_says_so(project):
    shutil.rmtree(project.path / "conf/local")
    with pytest.raises(ValueError, match="there is no environment 'local'"):
        project.run("pca", env=None)
