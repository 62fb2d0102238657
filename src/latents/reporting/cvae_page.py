"""The report page of the VAE: which numbers and figures stand there, and what to read in them."""

from collections.abc import Mapping
from typing import Any

from latents import rounding
from latents.reporting.report import Section, chosen, render_report


def _recognised(metrics: Mapping[str, float]) -> str:
    """Say what a classifier makes of drawings, and how sure that is."""
    if "accuracy_drawn" not in metrics:
        return "All training images are of one class, so that no classifier can be asked what drawings show."
    share, n = metrics["accuracy_drawn"], metrics["n_drawn"]
    error = rounding.share((share * (1 - share) / n) ** 0.5)
    return (
        f"A classifier (a network of one hidden layer) that saw real training images alone takes "
        f"{rounding.share(share)} of {n:,} drawings for their class (standard error {error}), and "
        f"{rounding.share(metrics['accuracy_classifier'])} of the test images; on the right the share by class."
    )


def cvae(figures: Mapping[str, Any], metrics: Mapping[str, float], parameters: Mapping[str, Any]) -> str:
    """Return the report of the cvae pipeline as an HTML page.

    Parameters
    ----------
    figures : mapping
        ``generated``, ``nearest``, ``nearest_distances``, ``learning``, ``bound``, ``class_bounds``,
        ``confusion``, ``reconstructions``, ``hardest``, ``styles``, ``class_paths``, ``interpolations``,
        ``traversals``, ``latents`` and ``priors``.
    metrics : mapping
        The numbers of ``metrics.json``.
    parameters : mapping
        The pipeline's parameters.
    """
    fit, learned = parameters["fit"], "kl_standard_prior" in metrics
    likelihood, marginal = metrics["n_likelihood_images"], metrics["n_marginal_images"]
    spread = "; ± standard error over images" if "log_likelihood_test_error" in metrics else ""
    numbers = chosen(
        metrics,
        [
            ("lower_bound_test", "Lower bound of log p(x | y), one sample of z an image; higher is better."),
            (
                "bits_per_dimension",
                "The same in bits per pixel and colour; lower is better. All models of 8-bit images compare.",
            ),
            ("lower_bound_train", "Mean over the last epoch, while the weights still move."),
            (
                "reconstruction",
                "Expected log-likelihood of a test image given its code: the bound's first term.",
            ),
            ("kl", "What the code costs: the bound's second term."),
            (
                "kl_standard_prior",
                "What it would cost were p(z | y), of a ladder its top level, N(0, I): what learned priors "
                "save.",
            ),
            (
                "log_likelihood_test",
                f"The bound, and what importance sampling of {likelihood:,} test images adds to it{spread}.",
            ),
            (
                "log_marginal_test",
                f"The class summed out: log p(x | y), and what {marginal:,} test images add to it.",
            ),
            ("accuracy_bayes", f"Test images, of {marginal:,}, whose likeliest class by Bayes is their own."),
            (
                "accuracy_drawn",
                f"Of {metrics['n_drawn']:,} drawings, those that a classifier trained on real images alone takes "
                "for their class: a low share means that they cannot be told for what they are meant.",
            ),
            (
                "accuracy_classifier",
                "What the same classifier makes of test images: drawings like real ones come near it.",
            ),
            (
                "nearest_distance_ratio",
                "Distance of drawings to the nearest training image, over that of test images: well below 1, "
                "they are copies, or vary less than real images.",
            ),
            ("active_units", f"Latents that tell anything, of {metrics.get('n_units', fit['n_latents'])}."),
            ("seconds_per_epoch", "Wall time of one pass over the training images."),
        ],
    )
    sections = [
        Section(
            "Drawn from the model",
            "Each row is one class y: z is drawn from p(z | y) and decoded to pixel means. Nothing here is a "
            "training image. Variety within a row is what z knows; what the row has in common is y.",
            figures["generated"],
        ),
        Section(
            "Drawings and the training images nearest to them",
            "The drawings above once more, their pixels drawn too, as the model has it that images are. Below "
            "each the training image that is nearest. A model that has learned "
            f"its images by heart shows the same image twice. {_recognised(metrics)}",
            figures["nearest"],
        ),
        Section(
            "Are drawings copies?",
            "How far drawings lie from the nearest training image. The model has not seen the test images: they "
            "are what new images look like. Drawings that lie nearer copy, or the model draws only the commonest "
            "images; those that lie farther have something odd to them. Copies are training images in the form of "
            "drawings: where even these lie as far as test images, as small binarised ones do, copying cannot "
            "be seen.",
            figures["nearest_distances"],
        ),
        Section(
            "How it learned to draw",
            "The same noise for each class at several epochs: what changes down a column is what the model has "
            "learned. The drawings of every class are in 07_model_output/cvae/epochs.",
            figures["learning"],
        ),
        Section(
            "One style in every class",
            "The code of a test image says how it looks, not what it is: with the same z, in units of p(z | y), "
            "the model draws every class. Rows of one style, as if by one hand, show that z and y have parted "
            "their work.",
            figures["styles"],
        ),
        Section(
            "Between classes",
            "The weight of one class goes down, that of the next up, while z, in units of p(z | y), "
            "stays. The model has seen nothing but pure classes, so the middle is its own idea; "
            "what both share stays where it is.",
            figures["class_paths"],
        ),
        Section(
            "Between images",
            "The latents go from one test image to another along an arc, which keeps their length: draws of "
            "N(0, I) in many dimensions lie near a sphere, and a straight line would cut through its empty "
            "inside. Below, the class moves as well. Small, even steps are what one wants to see.",
            figures["interpolations"],
        ),
        Section(
            "The bound and its two terms",
            "The bound is how well an image is rebuilt (left term) less what its code costs (KL). Training "
            "raises it, once the KL term has its full weight (cvae.fit.kl_warm_up). Where the test curve turns "
            "down while training still rises, the model begins to learn its images by heart. Grey "
            "points are log p(x | y) by importance sampling: the bound lies below them.",
            figures["bound"],
        ),
        Section(
            "Class by class",
            "Classes from the hardest down. A low bound with a low reconstruction has shapes that the code does "
            "not catch; a high KL means many ways to look. The gap from the bound to log p(x | y) is what a "
            "better q(z | x, y) could gain. A class of few training images (right) is often described worse: "
            "cvae.fit.class_weight lets it count for more. classes.csv has the numbers.",
            figures["class_bounds"],
        ),
        Section(
            "Which class it takes an image for",
            f"p(y | x) by Bayes for {metrics['n_marginal_images']:,} test images. The model was never trained to "
            "tell classes apart: it only knows how likely an image is in each. Off the diagonal are images that "
            "are better drawn as another class.",
            figures["confusion"],
        ),
        Section(
            "The hardest test images",
            "The lowest bounds, with the likeliest class: odd ones, wrong labels, or thick and noisy ones, whose "
            "many pixels all cost nats. hardest.csv lists them.",
            figures["hardest"],
        ),
        Section(
            "Test images and what comes back",
            "Test images as the model saw them above, pixel means decoded from their codes below. What the "
            "code has no room for comes back blurred or straightened.",
            figures["reconstructions"],
        ),
        Section(
            "What single latents do",
            "The most active latents, moved one at a time while all others rest at their mean, given "
            "y and what is above. A latent that does the same in every row, such as slant or width, "
            "is style that all classes share.",
            figures["traversals"],
        ),
        Section(
            "What z holds",
            "Test images at the two directions in which their codes vary most. The class is told to the model "
            "beside z, which need not hold it: style, such as slant and width, is what z is for. "
            + (
                "With a prior for each class they may lie apart all the same."
                if learned
                else "With one prior for all (of a ladder, on its top level), classes that lie on one another are "
                "the wanted outcome."
            ),
            figures["latents"],
        ),
    ]
    if learned:
        sections.append(
            Section(
                "The priors of the classes",
                "Every class has a p(z | y) of its own, whose mean and spread are learned; dots are codes of test "
                "images. The plane is that in which the means differ most. The decoder is told y and could move "
                "z by itself, so means alone gain next to nothing; spreads let a class do without a latent. What "
                "they are worth to this model is the KL of the same codes to N(0, I), less that to the priors. "
                "A model trained with N(0, I) would adapt to it and lose less. Of a ladder it is the top "
                "level that is shown, and held against N(0, I).",
                figures["priors"],
            )
        )
    pixels = {
        "bernoulli": "Test bounds and likelihoods are of images binarised once with a fixed seed",
        "discretised": "Pixels are of the 256 grey values of 8 bits, each taken for the nearest: bounds and "
        "likelihoods are log probabilities",
        "gaussian": "Pixels are continuous: bounds and likelihoods are log densities of grey values from 0 to 1, "
        "which may be positive and compare only with those of the same images",
    }[fit["likelihood"]]
    trained = (
        ""
        if fit["objective"] == "elbo"
        else f" Training raised the importance-weighted bound of {fit['n_particles']} draws; these are of one."
    )
    return render_report(
        "Images by class",
        f"A class-conditioned variational autoencoder after {metrics['epochs']} epochs",
        numbers,
        sections,
        parameters,
        f"{pixels}, {metrics['n_importance_samples']:,} importance samples an image.{trained} Nothing was "
        "selected on test images.",
    )
