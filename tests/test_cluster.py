"""What docs/cluster.md tells a user to type, on two machines; its files, and the sentences that it explains."""

import ast
import importlib
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import yaml

import latents
from latents.datasets.count_blocks import CountBlocks
from latents.engines import on_ray
from latents.estimators import load
from tests.conftest import ROOT
from tests.machines import said_by, two_machines

PAGE = (ROOT / "docs/cluster.md").read_text()
(PINNED,) = re.findall(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
OBJECTS = list(yaml.safe_load_all((ROOT / "docs/cluster/rayjob.yaml").read_text()))
BIN = Path(sys.executable).parent


def typed(heading):
    """Return the blocks of commands under a heading of the page."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)^## ", PAGE, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"```bash\n(.*?)```", section, flags=re.DOTALL)


@pytest.fixture
def small(project):
    """Return a project whose environment `cluster` reads as little as `test` does."""
    for path in (ROOT / "conf/test").glob("*.yml"):
        if path.name != "mlflow.yml" and path.name != "globals.yml":
            shutil.copyfile(path, project.path / f"conf/cluster/{path.stem}_small.yml")
    for name, entry, small in (
        ("clustering", "documents_per_block: 500", "documents_per_block: 7"),
        ("pca_small", "limit: 200", "limit: 1500"),  # fewer are not worth a sum of squares
    ):
        catalog = project.path / f"conf/cluster/catalog_{name}.yml"
        text = catalog.read_text()
        assert entry in text
        catalog.write_text(text.replace(entry, small))
    return project


@pytest.fixture
def machines():
    pytest.importorskip("ray", reason="the extra 'cluster' is not installed")
    with two_machines() as both:
        yield both


@pytest.fixture
def environment(small, tmp_path):
    """Return the variables of a user's terminal, whose home folder is new."""
    (tmp_path / "home").mkdir()
    own = {name: value for name, value in small.environment.items() if not name.startswith("RAY_")}
    return {**own, "HOME": str(tmp_path / "home")}


def report_of(project, pipeline):
    return (project.path / f"data/cluster/08_reporting/{pipeline}/report.html").is_file()


# What a machine that is of no cluster says, at the address of one.
STRANGER = "python -c 'from latents.engines import RayEngine; RayEngine(\"10.0.0.1:6379\")'"


@pytest.mark.rehearsal
def test_machines_reached_by_ssh(small, machines, environment):
    head, other = machines
    token, on_head, on_other, run, stop = typed("Machines reached by SSH")
    head.type(token, small.path, environment)
    assert (small.path.parent / "home/.ray/auth_token").stat().st_mode & 0o777 == 0o600
    said = head.type(on_head.replace("ray start", "ray start --num-cpus=1"), small.path, environment)
    assert "Usage stats collection is disabled" in said
    # A machine that does not say that it has the token is not let in, though it has. It tries for 20 s.
    refused = other.start(on_other.replace("RAY_AUTH_MODE=token", ""), small.path, environment)
    said = other.type(f"RAY_AUTH_MODE=token {STRANGER}", small.path, environment, code=1)
    assert "ClusterError: this machine is not of the cluster at '10.0.0.1:6379'" in said.splitlines()[-1]
    other.type(on_other.replace("ray start", "ray start --num-cpus=1"), small.path, environment)
    said = head.type(run.replace("--env", "--pipelines pca --env"), small.path, environment)
    assert "Ray: 2 workers of 1 threads on node1, node2" in said
    assert report_of(small, "pca")
    assert "InvalidAuthToken" in said_by(refused, code=1)
    # In Python, of blocks that a user has written.
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    counts = sp.csr_array(np.random.default_rng(0).poisson(0.3, size=(300, 40)))
    CountBlocks.write(small.path / "data/04_feature/blocks", [counts[:150], counts[150:]])
    (small.path / "data/06_models").mkdir(parents=True, exist_ok=True)
    small.write("documented.py", code)
    head.type("export RAY_AUTH_MODE=token; python -W ignore documented.py", small.path, environment)
    assert load(small.path / "data/06_models/mixture.safetensors").word_probabilities_.shape == (100, 40)
    for machine in machines:
        assert "Stopped" in machine.type(stop, small.path, environment)


@pytest.mark.rehearsal
def test_the_script_of_slurm_runs_on_all_machines(small, machines, environment):
    """But for Slurm itself: what `srun` would do is done here, and `scontrol` names the machines."""
    (script,) = typed("Slurm")
    assert re.search(r"^#SBATCH --nodes=\d+$", script, flags=re.MULTILINE)
    (activated,) = re.findall(r"^source .*$", script, flags=re.MULTILINE)
    srun = 'srun() { while [ ${1:0:1} = - ]; do shift; done; "$@"; }\n'
    scontrol = "scontrol() { printf '10.0.0.1\\n10.0.0.2\\n'; }\n"
    token = typed("Machines reached by SSH")[0]
    machines[0].type(token, small.path, environment)
    job = {"SLURM_JOB_NODELIST": "node[1-2]", "SLURM_JOB_NUM_NODES": "2", "SLURM_CPUS_PER_TASK": "1"}
    script = (
        srun + scontrol + script.replace(activated, "").replace("kedro run", "kedro run --to-nodes pca.fit")
    )
    head, _ = [machine.start(script, small.path, {**environment, **job}) for machine in machines]
    # The other machine looks for the head for a minute more, for which nobody waits here.
    assert "Ray: 2 workers of 1 threads on node1, node2" in said_by(head)
    assert (small.path / "data/cluster/06_models/pca/model.safetensors").is_file()


@pytest.mark.rehearsal
def test_make_cluster_fits_all_three_here_as_one_process_does(small):
    pytest.importorskip("ray", reason="the extra 'cluster' is not installed")
    (command,) = typed("This machine")
    said = small.command(*command.split(), "-o", ".venv/installed-cluster", f"BIN={BIN}")
    assert "Ray: 2 workers of 1 threads" in said
    assert all(report_of(small, pipeline) for pipeline in ("clustering", "pca", "cvae"))
    there = learned(small)
    small.write("conf/cluster/globals.yml", "{data: data/cluster, engine: {name: local, n_threads: 1}}")
    small.run("clustering", "pca", env="cluster", until="fit")
    for here, value in zip(learned(small), there, strict=True):
        np.testing.assert_array_equal(here, value)


def learned(project):
    mixture, pca = (
        load(project.path / f"data/cluster/06_models/{name}/model.safetensors")
        for name in ("clustering", "pca")
    )
    return [
        *(mixture.weights_, mixture.word_probabilities_, mixture.lower_bounds_),
        *(pca.mean_, pca.components_, pca.distortion_curve_),
    ]


# What KubeRay's definition of a RayJob allows (ray.io/v1), as far as one is likely to need it; "!" is required.
_POD = {
    "template!": {
        "spec!": {
            "containers!": [
                {
                    "name!": str,
                    "image!": str,
                    "workingDir": str,
                    "env": [{"name!": str, "value": str}],
                    "resources": {"requests": {str: str}, "limits": {str: str}},
                    "volumeMounts": [{"name!": str, "mountPath!": str}],
                }
            ],
            "volumes": [{"name!": str, "persistentVolumeClaim": {"claimName!": str}}],
        }
    }
}
RAY_JOB = {
    "apiVersion!": "ray.io/v1",
    "kind!": "RayJob",
    "metadata!": {"name!": str},
    "spec!": {
        "entrypoint!": str,
        "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int,
        "activeDeadlineSeconds": int,
        "submissionMode": str,
        "rayClusterSpec!": {
            "rayVersion!": str,
            "authOptions": {"mode": "token"},
            "headGroupSpec!": {"rayStartParams!": {str: str}, **_POD},
            "workerGroupSpecs": [
                {
                    "groupName!": str,
                    "replicas": int,
                    "minReplicas": int,
                    "maxReplicas": int,
                    "rayStartParams!": {str: str},
                    **_POD,
                }
            ],
        },
    },
}


def complaints(value, form, path="", /):
    """Return what of a value is not of a form: fields that there are none of, are missing, or of another type."""
    if isinstance(form, list):
        if not isinstance(value, list) or not value:
            return [f"{path} is no list"]
        return [one for n, item in enumerate(value) for one in complaints(item, form[0], f"{path}[{n}]")]
    if isinstance(form, dict):
        if not isinstance(value, dict):
            return [f"{path} is no mapping"]
        if str in form:
            return [one for key in value for one in complaints(value[key], form[str], f"{path}.{key}")]
        known = {name.rstrip("!"): (name.endswith("!"), inner) for name, inner in form.items()}
        found = [
            f"{path}.{name} is missing" for name, (must, _) in known.items() if must and name not in value
        ]
        found += [f"{path}.{name} is unknown" for name in value if name not in known]
        return found + [
            one
            for name in value
            if name in known
            for one in complaints(value[name], known[name][1], f"{path}.{name}")
        ]
    fits = type(value) is form if isinstance(form, type) else value == form
    return [] if fits else [f"{path} is {value!r}"]


def pods():
    cluster = OBJECTS[1]["spec"]["rayClusterSpec"]
    return [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def test_the_file_for_kubernetes_has_the_form_of_a_ray_job():
    claim, job = OBJECTS
    assert complaints(job, RAY_JOB) == []
    assert (claim["apiVersion"], claim["kind"]) == ("v1", "PersistentVolumeClaim")
    # Pods of several machines write to it.
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for pod in pods():
        (container,), (volume,) = pod["containers"], pod["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"]]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert re.fullmatch(r"\d+Gi", container["resources"]["limits"]["memory"])


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (["spec", "entryPoint"], "x", ".spec.entryPoint is unknown"),
        (["spec", "rayClusterSpec", "rayVersion"], 2.6, ".spec.rayClusterSpec.rayVersion is 2.6"),
        (["spec", "rayClusterSpec", "headGroupSpec", "rayStartParams"], {"num-cpus": 0}, "num-cpus is 0"),
        (["spec", "rayClusterSpec", "headGroupSpec"], {}, "headGroupSpec.template is missing"),
    ],
)
def test_what_is_no_ray_job_is_told(path, value, complaint):
    job = yaml.safe_load(yaml.safe_dump(OBJECTS[1]))
    *to, name = path
    place = job
    for step in to:
        place = place[step]
    place[name] = value
    assert any(complaint in one for one in complaints(job, RAY_JOB))


def test_the_file_for_kubernetes_agrees_with_the_project():
    spec = OBJECTS[1]["spec"]
    assert spec["rayClusterSpec"]["rayVersion"] == PINNED
    image = f"registry.example.com/latents:{latents.__version__}"
    (base, python), *_ = re.findall(r"^FROM rayproject/ray:([\d.]+)-py(\d+)$", PAGE, flags=re.MULTILINE)
    assert base == PINNED
    assert (int(python[0]), int(python[1:])) >= (3, 11)
    (folder,) = re.findall(r"^WORKDIR (.*)$", PAGE, flags=re.MULTILINE)
    assert PAGE.count(image) == 2
    for pod in pods():
        (container,) = pod["containers"]
        assert container["image"] == image
        assert container["workingDir"] == folder
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
        # Where the environment's outputs and blocks are.
        data = yaml.safe_load((ROOT / "conf/cluster/globals.yml").read_text())["data"]
        (mount,) = container["volumeMounts"]
        assert Path(folder, data).is_relative_to(mount["mountPath"])


@pytest.mark.rehearsal
def test_what_the_pods_are_to_run_is_a_command_that_there_is(small):
    """In a folder with nothing but `conf`, as the image has it."""
    for path in small.path.iterdir():
        if path.name != "conf":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    small.command(*OBJECTS[1]["spec"]["entrypoint"].split(), "--to-nodes", "clustering.ingest")
    assert (small.path / "data/cluster/02_intermediate/clustering").is_dir()


def test_versions_on_the_page_are_those_of_the_project():
    assert {f"latents-{latents.__version__}"} == set(re.findall(r"latents-\d[\d.]*\d", PAGE))
    assert set(re.findall(r"\b2\.6\d(?:\.\d+)?\b", PAGE)) <= {PINNED, PINNED.rpartition(".")[0], "2.6"}
    (block,) = re.findall(r"```yaml\n(engine: .*?)```", PAGE, flags=re.DOTALL)
    engine = yaml.safe_load(block)["engine"]
    kept = yaml.safe_load((ROOT / "conf/cluster/globals.yml").read_text())["engine"]
    assert kept.items() <= engine.items()


def sentences():
    """Return what errors of the engine say, with … for what is put in."""
    found = []
    for node in ast.walk(ast.parse(Path(on_ray.__file__).read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
            found.append("".join(parts))
    return found


def test_errors_that_the_page_explains_are_those_that_there_are():
    (table,) = re.findall(r"\| it says .*?\n\n", PAGE, flags=re.DOTALL)
    told = re.findall(r"^\| `([^`]*)`", table, flags=re.MULTILINE)
    assert len(told) > 10
    for sentence in told:
        like = re.compile(".*".join(re.escape(part.strip("'")) for part in sentence.split("…")))
        assert any(like.match(said) for said in sentences()), sentence
    for sentence in re.findall(r"^the machine .*$", PAGE, flags=re.MULTILINE):
        there = {"torch": "2.14.0", "latents": None} if "torch" in sentence else {"latents": None}
        with pytest.raises(on_ray.ClusterError) as error:
            on_ray.check_versions("10.0.0.2", there, {"torch": "2.15.0", "latents": "0.1.0"})
        assert str(error.value) == sentence


@pytest.fixture
def reckoning(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("cluster_reckoning")


def test_the_reckoning_is_the_table_of_the_page(reckoning, capsys):
    reckoning.main([])
    assert capsys.readouterr().out.strip() in PAGE
    reckoning.main(["--threads", "1"])
    first = capsys.readouterr().out.splitlines()[2]
    assert [cell.strip() for cell in first.split("|")[2:-1]] == ["58", "115", "1,108"]
    assert "58, 115 and 1,108 s" in PAGE


def test_blocks_are_reckoned_as_they_are_written(reckoning, tmp_path):
    rng = np.random.default_rng(0)
    blocks = [sp.csr_array(rng.poisson(0.2, size=(n, 50)).astype(np.uint8)) for n in (30, 70)]
    counts = CountBlocks.write(tmp_path / "blocks", blocks)
    written = sum(path.stat().st_size - 128 for path in (tmp_path / "blocks").rglob("*.npy"))
    assert written == reckoning.bytes_of_counts(100, 50, counts.n_nonzeros, 2)


def test_seconds_of_a_thread_can_be_measured(reckoning, capsys, monkeypatch):
    monkeypatch.setattr(reckoning, "WORDS", 50)
    monkeypatch.setattr(reckoning, "COLUMNS", 20)
    monkeypatch.setattr(reckoning, "SHAPES", [(100, 5, 1), (100, 5, 2), (900, 5, 1), (100, 40, 1)])
    reckoning.main(["--measure"])
    names = re.findall(r"^--([a-z-]+) \S+$", capsys.readouterr().out, flags=re.MULTILINE)
    given = [name for name in vars(reckoning.Costs()) if name not in ("network", "disk")]
    assert sorted(names) == sorted(name.replace("_", "-") for name in given)
