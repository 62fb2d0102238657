"""MLflow's registry of models: every finished run adds a version, and the best of those comparable is champion."""

import logging
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

from latents import predictors
from latents.key_numbers import written
from latents.predictors import Champion, Headline

logger = logging.getLogger(__name__)

CHAMPION = "champion"
# Tags of a version; what must be equal for two to be compared has names of its own below "same.".
_METRIC, _VALUE, _CONDITION = "metric", "value", "same."


def registered_name(pipeline: str, environment: str) -> str:
    """Return the name under which the models of a pipeline and an environment are registered."""
    # MLflow allows all names without slashes and colons.
    return re.sub(r"[/\\:]", "-", f"latents-{pipeline}-{environment}")


def champion(name: str) -> Champion | None:
    """Return the champion of a registered model, or None where there is none.

    Raises
    ------
    MlflowException, OSError
        If the registry, or where it keeps the model, does not answer.
    ValueError
        If what it keeps is no predictor.
    """
    try:
        version = str(MlflowClient().get_model_version_by_alias(name, CHAMPION).version)
    except MlflowException as error:
        # No such model, or none of its versions has the alias.
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    with TemporaryDirectory() as folder:
        kept = download_artifacts(f"models:/{name}/{version}/artifacts/predictor", dst_path=folder)
        return Champion(predictors.load(Path(kept)), version)


def register(name: str, model_id: str, run_id: str, headline: Headline) -> None:
    """Add a version to a registered model, and make it champion if it is the first or beats the present one.

    Models that were measured on other data or otherwise (``Headline.conditions``) are never compared: the champion
    then stays, until somebody decides.

    Parameters
    ----------
    name : str
        Of the registered model, which is made if there is none.
    model_id : str
        MLflow's identifier of the logged model.
    run_id : str
        The run that has logged it.
    headline : Headline
        By which it is compared.
    """
    client = MlflowClient()
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = {_METRIC: headline.metric, _VALUE: repr(headline.value)}
    tags.update((f"{_CONDITION}{key}", value) for key, value in headline.conditions.items())
    # All tags come with it: no moment shows a version without them.
    created = client.create_model_version(name, f"models:/{model_id}", run_id, tags=tags, model_id=model_id)
    version = str(created.version)
    try:
        if _is_champion(client, name, version, headline):
            client.set_registered_model_alias(name, CHAMPION, version)
    except MlflowException as error:
        logger.error(
            "%s, version %s is registered, but its place beside the champion is open (%s); give the alias %r to "
            "it on the model's page in MLflow if it is the best",
            *(name, version, error, CHAMPION),
        )


def _is_champion(client: MlflowClient, name: str, version: str, headline: Headline) -> bool:
    """Decide, and say why."""
    shown = written(headline.metric, headline.value)
    this = f"{name}, version {version} ({headline.metric} {shown})"
    present = client.get_registered_model(name).aliases.get(CHAMPION)
    if present is None:
        if headline.beats(float("nan")):
            logger.info("%s is champion: there was none", this)
            return True
        logger.warning("%s is no champion: its value is not finite", this)
        return False
    tags = client.get_model_version(name, present).tags
    conditions = {
        key.removeprefix(_CONDITION): tag for key, tag in tags.items() if key.startswith(_CONDITION)
    }
    if differences := headline.differences(tags.get(_METRIC), conditions):
        logger.warning(
            "%s is not comparable with the champion, version %s: %s; the champion stays, unless you "
            "give the alias %r to version %s on the model's page in MLflow",
            *(this, present, "; ".join(differences), CHAMPION, version),
        )
        return False
    wins = headline.beats(float(tags[_VALUE]))
    verb = "is champion: it beats" if wins else "does not beat the champion,"
    other = written(headline.metric, float(tags[_VALUE]))
    logger.info(
        "%s %s version %s (%s)", this, verb, present, f"{other}, rounded" if other == shown else other
    )
    return wins
