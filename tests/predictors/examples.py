"""A few texts of two kinds, and the rules that make words of them."""

from latents.features.words import WordRules

RULES = WordRules(r"(?u)\b[^\W\d_]{3,}\b", True, frozenset({"the", "and"}), (1, 1))
SEA = "the ship and the sail, harbour wind"
SKY = "the plane and the wing; airport wind"
TEXTS = [SEA, SKY, "sail Harbour ship", "Wing airport plane", "ship ship wind", "plane plane wind"] * 3
