"""A local page on trained models, for people who write no Python: ``python -m latents.app``, or ``make app``.

It asks predictors, and what a run left beside them; nothing imports it. What a page says is reckoned in
``documents``, ``images`` and ``generation``, which know nothing of pages; ``pages`` lays it out with NiceGUI,
whose elements are joined by those of ``components``.
"""
