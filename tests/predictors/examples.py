"""A few texts of two kinds, and the rules that make words of them."""

import json

from latents.features.words import WordRules
from latents.predictors.interface import settings_digest

RULES = WordRules(r"(?u)\b[^\W\d_]{3,}\b", True, frozenset({"the", "and"}), (1, 1))
SEA = "the ship and the sail, harbour wind"
SKY = "the plane and the wing; airport wind"
TEXTS = [SEA, SKY, "sail Harbour ship", "Wing airport plane", "ship ship wind", "plane plane wind"] * 3


def change(folder, **parts):
    """Write other settings to a saved predictor, as if it had been saved with them."""
    path = folder / "predictor.json"
    content = json.loads(path.read_text())
    for name, value in parts.items():
        (content if name in content else content["settings"])[name] = value
    content["digest"] = settings_digest(content)
    path.write_text(json.dumps(content))
