"""The class-conditioned variational autoencoder (section 3 of the source document).

Networks, objective, training and evaluation are modules of their own, in torch; ``estimator`` joins
them into a scikit-learn estimator. Nothing else in Latents imports torch.
"""

from latents.estimators.conditional_vae.estimator import ConditionalVAE
from latents.estimators.conditional_vae.objective import bayes
from latents.estimators.conditional_vae.pixels import binarise

__all__ = ["ConditionalVAE", "bayes", "binarise"]
