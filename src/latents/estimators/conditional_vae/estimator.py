"""``ConditionalVAE``: the class-conditioned variational autoencoder as a scikit-learn estimator."""

import copy
import math
import os
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_consistent_length, check_random_state, column_or_1d, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor
from torch.distributed import ProcessGroup

from latents.estimators.common.devices import device_of_fitted, resolve_device
from latents.estimators.common.persistence import Learned, PersistentEstimator, check_learned
from latents.estimators.conditional_vae import evaluation
from latents.estimators.conditional_vae.checkpoints import Checkpoints, differences
from latents.estimators.conditional_vae.distributions import PRIORS
from latents.estimators.conditional_vae.interface import ConditionalNetwork
from latents.estimators.conditional_vae.ladder import check_levels
from latents.estimators.conditional_vae.latents import LatentMethods, posterior_means, to_numpy
from latents.estimators.conditional_vae.networks import NETWORKS, POSTERIORS, build, n_weights
from latents.estimators.conditional_vae.objective import OBJECTIVES, bayes
from latents.estimators.conditional_vae.pixels import LIKELIHOODS, pixel_model
from latents.estimators.conditional_vae.ranks import Ranks
from latents.estimators.conditional_vae.spatial import n_kept
from latents.estimators.conditional_vae.steps import SCHEDULES, learner_with_adam
from latents.estimators.conditional_vae.training import (
    PRECISIONS,
    Callback,
    EpochMeans,
    Pace,
    Progress,
    carry_out,
    choose_pace,
)
from latents.estimators.conditional_vae.windows import (
    ReadImages,
    are_read,
    as_pixels,
    batches_of,
    begin,
    fingerprint_of,
)
from latents.memory import check_memory
from latents.messages import printable, shown, some_of

OnEpoch = Callable[["ConditionalVAE", int], Mapping[str, float] | None]

_NETWORK = "network_."
_HISTORY = "history_."
# Of a number that is learned: itself, its gradient, and what Adam remembers of it, all in float32.
_BYTES_PER_WEIGHT = 16
_LABELS_AT_ONCE = 1 << 20


class ConditionalVAE(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    LatentMethods,
    TransformerMixin,  # type: ignore[misc]
    PersistentEstimator,
    BaseEstimator,  # type: ignore[misc]
):
    r"""Variational autoencoder with every distribution conditioned on a class y.

    The model draws latents z from p(z | y) and then each pixel of x from a Bernoulli distribution
    whose logit is a network's output (or from another `likelihood`), p(x | z, y). A second network gives
    q(z | x, y), a Gaussian (in a ladder, on each level given those above it). Both are trained by
    ascending the lower bound (source, section 3), in nats per image,

    .. math::

        \mathcal{L}(x, y) = E_{q(z \mid x, y)}[\log p(x \mid z, y)]
            - KL(q(z \mid x, y) \,\|\, p(z \mid y)) \le \log p(x \mid y)

    with one sample of z in the expectation and the KL term in closed form. Grey values are
    probabilities: training binarises an image afresh each time it is drawn. With discretised pixels they are
    taken for the nearest of the 256 that 8 bits have, and with Gaussian ones as they are: bounds of the latter
    are log densities, still in nats, which may be positive.

    Parameters
    ----------
    n_latents : int, default=48
        Dimension of z, of all levels of `hidden` together; those of `spatial` come on top (``n_latents_``).
    hidden : sequence of int, default=(288,) * 6
        Of a ladder, a level for each entry, the width of its state, which is the same for all. Of the
        reference, the widths of the encoder's hidden layers, which the decoder has in reverse; empty:
        linear networks.
    spatial : sequence of int, default=()
        Of a ladder, a level for each entry below those of `hidden`, whose latents have places: one in each cell
        of a grid of at most 8 x 8 over images of `image_shape` (7 x 7 of 28 x 28 pixels). An entry is the width of
        a cell's state, which is the same for all. What such levels learn of one cell they know of all: the bound
        rises well above that of wider levels without places, and a step takes three to six times as long.
    network : {"ladder", "reference"}, default="ladder"
        The architecture. ``"ladder"`` has its latents in levels, each drawn given those above it
        (``LadderNetwork``). ``"reference"`` is the source's: ReLU layers, y one-hot beside x in the
        encoder and beside z in the decoder.
    prior : {"standard", "per_class"}, default="standard"
        p(z | y): N(0, I) for every class, or a mean and a variance learned for each, the source's
        "unique p(z) for each y". In a ladder it is that of the top level; those below have theirs by
        class, and by the latents above, in either case.
    posterior : {"correlated", "diagonal"}, default="correlated"
        q(z_t | z_<t, x, y) on each level of a ladder: a Gaussian of any covariance, by its Cholesky factor, or
        one with independent latents. On spatial levels, and in the reference, latents are independent.
    likelihood : {"bernoulli", "discretised", "gaussian"}, default="bernoulli"
        p(x | z, y): pixels of 0 and 1; of the 256 grey values k / 255, by a mixture of five discretised logistic
        distributions for each (Salimans et al. 2017), the colours of a place together where `image_shape` has
        3 channels; or continuous ones with a mean for each and one learned variance for all. Bounds of the second
        are log probabilities of 8-bit images, comparable between all models of such; those of the last are
        densities, and compare only between models of the same grey values.
    objective : {"elbo", "iwae"}, default="elbo"
        What training ascends: the bound above, or the tighter importance-weighted one of Burda et al.,
        E log (1/K) sum_k p(x, z_k | y) / q(z_k | x, y). Evaluation reports the former in any case.
    n_particles : int, default=1
        K, the draws of z for each image in a step; the ``"elbo"`` takes the mean over them.
    epochs : int, default=30
        Passes over the training images.
    batch_size : int, default=256
        Images per step of the optimiser; the last batch of an epoch may be smaller.
    learning_rate : float, default=5e-3
        Adam's; of a cosine, the highest.
    beta_2 : float, default=0.99
        Adam's decay of the mean of squared gradients, in [0, 1).
    schedule : {"constant", "cosine"}, default="cosine"
        Whether the rate stays, or rises for a fiftieth of the training and then falls by half a wave to a
        hundredth of it.
    kl_warm_up : float, default=0.6
        Share of the training, from 0 to 1, over which the weight of the KL term in the objective rises
        from 0 to 1, so that latents come into use before they are charged for. Bounds are always
        measured at weight 1.
    class_weight : dict, "balanced" or None, default=None
        What the bound of a training image counts for, by its class, as in scikit-learn: a number above 0 for
        each label (1 where it is not named), or N / (C N_y) for ``"balanced"``, by which all classes count
        alike, however many images they have. Images of a rare class are then described better, and those of the
        others a little worse; few images are soon learnt by heart. Bounds are reported without weights, and p(y)
        stays the share of the images.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        What matrix products of a training and of importance sampling are multiplied in; sums, weights and
        their updates, bounds, codes and images are float32. Half the digits take half the time on
        processors that multiply them as such: ``"auto"`` is bfloat16 there, for networks of some size, and
        else float32. Other processors emulate bfloat16, ten times slower; asking for it warns of that.
    compiled : {"auto", True, False}, default="auto"
        Whether torch compiles the training step, which takes up to a minute once and then saves a
        part of each step. ``"auto"``: where there is a compiler and 5,000 steps or more to make.
    device : str, default="auto"
        Where to train: a torch device such as ``"cpu"`` or ``"cuda"``; ``"auto"`` is CUDA where
        there is one. A fitted model stays there. A loaded one goes there too, or to the CPU, with a
        warning, where torch cannot use that device.
    image_shape : sequence of int or None, default=None
        (height, width) or (height, width, channels), with 1 or 3 channels, of the images whose pixels the columns
        of X are, row by row, channels last; None where it is not known. Spatial levels need it, and so do colours
        of discretised pixels.
    window : int, default=2**27
        Bytes of images that are shuffled together where X is read as batches need it (a mapped array, or
        blocks); grey levels of Bernoulli pixels take a byte each, other values four. One more window is read
        ahead, so that memory is asked for two. Images that fit into one are kept, and shuffled as in memory.
    random_state : int, RandomState instance or None, default=None
        Gives initial weights, the order of the images, their binarisations and the noise. An int
        repeats a fit exactly on the same machine with the same number of threads. Torch's global
        random state is neither used nor changed.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        The labels, sorted.
    class_prior_ : ndarray of shape (C,)
        p(y), the share of each class in the training images.
    network_ : torch.nn.Module
        The trained distributions.
    history_ : dict of str to list of float
        One value per epoch: ``lower_bound`` (the running mean over the epoch, as the source prints
        it), its terms ``reconstruction`` and ``kl``, ``importance_bound`` where that was the
        objective, ``lower_bound_test`` where `fit` was given a validation set, and what `on_epoch`
        measured (NaN in other epochs). Nats per image.
    fit_seconds_ : float
        Time spent in training, that of interrupted fits up to their last checkpoints included, that of
        measuring bounds and of `on_epoch` not.
    n_features_in_ : int
        Number of pixels p.
    n_latents_ : int
        L, the latents of all levels together: `n_latents`, and those of the cells of `spatial` levels.
    feature_names_in_ : ndarray of shape (p,)
        Names of the pixels, where X had any.

    Notes
    -----
    Every evaluation draws its noise from one fixed seed, so that it repeats and models can be
    compared. The noise goes by position, so an image's Monte Carlo error depends on its place in X,
    and it differs between kinds of device.

    References
    ----------
    Kingma, Welling (2014), "Auto-Encoding Variational Bayes". Sohn, Lee, Yan (2015), "Learning
    Structured Output Representation using Deep Conditional Generative Models". Burda, Grosse,
    Salakhutdinov (2016), "Importance Weighted Autoencoders". Salimans, Karpathy, Chen, Kingma (2017),
    "PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood". Sonderby et al. (2016),
    "Ladder Variational Autoencoders". Vahdat, Kautz (2020), "NVAE". Bowman et al. (2016), "Generating
    Sentences from a Continuous Space" (the rising weight of the KL term).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> model = ConditionalVAE(n_latents=8, hidden=(64, 64), epochs=5, random_state=0).fit(X / 16, y)
    >>> model.sample([0, 1, 2]).shape
    (3, 64)
    """

    history_: dict[str, list[float]]

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_latents": [Interval(Integral, 1, None, closed="left")],
        "hidden": [list, tuple],
        "spatial": [list, tuple],
        "network": [StrOptions(set(NETWORKS))],
        "prior": [StrOptions(set(PRIORS))],
        "posterior": [StrOptions(set(POSTERIORS))],
        "likelihood": [StrOptions(set(LIKELIHOODS))],
        "objective": [StrOptions(set(OBJECTIVES))],
        "n_particles": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "schedule": [StrOptions(set(SCHEDULES))],
        "kl_warm_up": [Interval(Real, 0, 1, closed="both")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "precision": [StrOptions(set(PRECISIONS))],
        "compiled": [StrOptions({"auto"}), "boolean"],
        "device": [str],
        "image_shape": [list, tuple, None],
        "window": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    _added_params: ClassVar = {
        "class_weight": None,
        "image_shape": None,
        "posterior": "diagonal",
        "spatial": (),
        "window": 2**27,
    }

    _learned: ClassVar = {
        "classes_": Learned("bifU", ("C",)),
        "class_prior_": Learned("f", ("C",)),
        "fit_seconds_": Learned("f"),
        "n_features_in_": Learned("i"),
        "feature_names_in_": Learned("U", ("p",), is_optional=True),
    }

    def __init__(
        self,
        *,
        n_latents: int = 48,
        hidden: Sequence[int] = (288,) * 6,
        spatial: Sequence[int] = (),
        network: str = "ladder",
        prior: str = "standard",
        posterior: str = "correlated",
        likelihood: str = "bernoulli",
        objective: str = "elbo",
        n_particles: int = 1,
        epochs: int = 30,
        batch_size: int = 256,
        learning_rate: float = 5e-3,
        beta_2: float = 0.99,
        schedule: str = "cosine",
        kl_warm_up: float = 0.6,
        class_weight: dict[Any, float] | str | None = None,
        precision: str = "auto",
        compiled: bool | str = "auto",
        device: str = "auto",
        image_shape: Sequence[int] | None = None,
        window: int = 2**27,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_latents = n_latents
        self.hidden = hidden
        self.spatial = spatial
        self.network = network
        self.prior = prior
        self.posterior = posterior
        self.likelihood = likelihood
        self.objective = objective
        self.n_particles = n_particles
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.beta_2 = beta_2
        self.schedule = schedule
        self.kl_warm_up = kl_warm_up
        self.class_weight = class_weight
        self.precision = precision
        self.compiled = compiled
        self.device = device
        self.image_shape = image_shape
        self.window = window
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        validation: tuple[Any, ArrayLike] | None = None,
        callback: Callback | None = None,
        on_epoch: OnEpoch | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 1,
        process_group: ProcessGroup | None = None,
    ) -> Self:
        """Train the model on images and their classes.

        Parameters
        ----------
        X : array-like of shape (N, p), or iterable of array-likes of shape (n, p)
            Grey values in [0, 1], of any real type. A memory map, or a view of one, and blocks are never held
            whole unless they fit into a `window`: they are read in every epoch, the next images while others
            are trained on, as are those of `validation` and of every method that takes images. Blocks are the
            same each time they are iterated over; where they come by number too, as those of a list do (and
            rows of a memory map), an epoch begins with them in a new order. Within a window images are
            shuffled.
        y : array-like of shape (N,)
            Class labels, numbers or strings, of all images in their order.
        validation : (X_test, y_test), optional
            Images whose single-sample bound is measured after each epoch, used as given
            (``binarise`` them first). They influence nothing.
        callback : callable, optional
            Called after each epoch (from 1) as ``callback(name, value, epoch)`` with every entry of
            ``history_``. What it raises ends the fit.
        on_epoch : callable, optional
            Called after each epoch as ``on_epoch(model, epoch)`` with the half-trained model, fitted so
            far, to look at and not to keep: its weights go on moving. The numbers by name that it may
            return join ``history_`` and the callback. What it raises ends the fit.
        checkpoint : path-like, optional
            A file for all that the training remembers (weights, optimiser, random numbers, history),
            written whole or not at all. Where it holds a checkpoint of these very data, parameters and
            seeds, training goes on from there, and ends bit for bit as one that nothing ended (on the
            same machine, with as many threads and the same torch): `callback` is told of the epochs that
            are done, and `on_epoch` is not. One of another training is replaced, a damaged one too, and
            the log says so. The file stays when the fit is done: remove it once the model is saved.
            With ``random_state=None`` no fit is the same training as another.
        checkpoint_every : int, default=1
            Epochs from one checkpoint to the next; the last epoch has one in any case.
        process_group : torch.distributed.ProcessGroup, optional
            Processes that train together: all call ``fit`` with the same parameters and data, which each holds
            whole. Of every batch each takes its share; a step is that of one process on the whole batch but for
            the order of sums, and all end with the same model. `validation`, `callback`, `on_epoch`,
            `checkpoint` and the seeds are those of the first process; what the others give is not looked at, and
            their ``history_`` lacks what is measured there. By default, and in a group of one, this process
            trains alone.

        Returns
        -------
        ConditionalVAE
            Itself.

        Raises
        ------
        ValueError
            If a parameter is impossible, or so large that there is not the memory for it; if y is missing, or a
            value of X lies outside [0, 1]; if blocks of X cannot be iterated over anew, or differ then; if
            `image_shape` is no shape of p pixels; if `class_weight` names a label that y lacks; if processes that
            train together are given different data or parameters, or are more than the images of a batch.
        FloatingPointError
            If the bound or a weight stops being finite, or an epoch's mean bound falls below that of the
            untrained network by more than its magnitude; names epoch, step and the last good checkpoint.
        """
        self._validate_params()
        self._validate_widths()
        if checkpoint_every < 1:
            raise ValueError(f"checkpoint_every is {checkpoint_every}, but must be at least 1")
        ranks = None if process_group is None or process_group.size() == 1 else Ranks(process_group)
        if ranks is not None:
            if ranks.size > self.batch_size:
                raise ValueError(
                    f"batch_size is {self.batch_size}, but {ranks.size} processes train together, and each needs "
                    "at least one image of a batch"
                )
            if not ranks.is_first:
                validation = callback = on_epoch = checkpoint = None
        device = resolve_device(self.device)
        grey, labels = self._check_training(X, y)
        grey = grey.to(device)
        # A fit that is interrupted must not leave older weights beside newer classes.
        self.__dict__.pop("network_", None)
        self.classes_ = np.unique(labels)
        codes = _codes_of(labels, self.classes_)
        self.class_prior_ = np.bincount(codes) / len(codes)
        class_weights = _weights_of_classes(self.class_weight, self.classes_, self.class_prior_)
        test = None if validation is None else self._check(*validation)
        self._check_memory(len(codes), device)

        weight_seed, training_seed = map(int, check_random_state(self.random_state).randint(2**31, size=2))
        if ranks is not None:
            weight_seed, training_seed = ranks.of_first((weight_seed, training_seed))
        network = self._build_network(torch.Generator().manual_seed(weight_seed)).to(device)
        begin(network.pixels, grey)
        generator = torch.Generator(device).manual_seed(training_seed)
        n_steps = self.epochs * -(-len(codes) // self.batch_size)
        learner = learner_with_adam(
            network,
            n_steps,
            learning_rate=self.learning_rate,
            beta_2=self.beta_2,
            schedule=self.schedule,
            kl_warm_up=self.kl_warm_up,
        )
        progress = Progress(learner, generator)
        so_far = copy.copy(self)
        so_far.network_, so_far.history_ = network, progress.history

        def bounds(means: EpochMeans, epoch: int) -> dict[str, float]:  # noqa: ARG001
            values = means._asdict()
            importance_bound = values.pop("trained_bound")
            if self.objective == "iwae":
                values["importance_bound"] = importance_bound
            if test is not None:
                terms = evaluation.bound(so_far.network_, *test)
                values["lower_bound_test"] = float((terms.reconstruction - terms.kl).mean())
            return values

        def look(means: EpochMeans, epoch: int) -> Mapping[str, float] | None:  # noqa: ARG001
            so_far.fit_seconds_ = progress.seconds
            return None if on_epoch is None else on_epoch(so_far, epoch)

        pace = choose_pace(self.precision, self.compiled, network, n_steps)
        if ranks is not None:
            pace = Pace.of_slowest(ranks.of_all(pace))
        checkpoints = None
        if checkpoint is not None or ranks is not None:
            parameters = {**self.get_params(), "hidden": list(self.hidden), "device": device.type}
            for name in ("random_state", "class_weight", "image_shape", "spatial", "window"):
                del parameters[name]
            fingerprint = {
                "parameters": parameters,
                "seeds": [weight_seed, training_seed],  # drawn from random_state, which need not be a number
                "classes": self.classes_.tolist(),
                "training data": fingerprint_of(grey, torch.from_numpy(codes)),
                "validation data": None if test is None else fingerprint_of(*test),
                "precision": str(pace.precision),
                "compiled": pace.is_compiled,
            }
            # Those of earlier versions lack it.
            if parameters["posterior"] == "diagonal" or self.network == "reference":
                del parameters["posterior"]
            if network.pixels.n_channels > 1:
                fingerprint["colours"] = network.pixels.n_channels
            if self.spatial:
                fingerprint["spatial levels"] = [*self.spatial, self._shape]
            if class_weights is not None:
                fingerprint["class weights"] = class_weights.tolist()
            if isinstance(grey, ReadImages) and not grey.is_one_window:
                fingerprint["window"] = grey.order
            if ranks is not None:
                fingerprint["processes"] = ranks.size
                _check_alike(ranks, {**fingerprint, "validation data": None})
            if checkpoint is not None:
                checkpoints = Checkpoints(checkpoint, fingerprint, checkpoint_every)
        carry_out(
            progress,
            batches_of(
                grey,
                torch.from_numpy(codes),
                binarise=network.pixels.is_binary,
                batch_size=min(self.batch_size, len(codes) + 1),  # torch counts to 2^63
                n_latents=network.n_latents,
                n_particles=self.n_particles,
                generator=generator,
            ),
            OBJECTIVES[self.objective],
            (bounds, look),
            epochs=self.epochs,
            callback=callback,
            checkpoints=checkpoints,
            ranks=ranks,
            class_weights=None if class_weights is None else torch.from_numpy(class_weights).to(device),
            **vars(pace),
        )
        for series in progress.history.values():
            series += [math.nan] * (self.epochs - len(series))
        self.network_ = network
        self.history_ = progress.history
        self.fit_seconds_ = progress.seconds
        return self

    def bound_terms(
        self, X: ArrayLike, y: ArrayLike, *, prior: str | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return both terms of the single-sample bound, each (N,), in nats per image.

        Parameters
        ----------
        X : array-like of shape (N, p)
            Images in [0, 1], taken as they are: ``binarise`` grey ones for a true likelihood.
        y : array-like of shape (N,)
            Labels out of ``classes_``.
        prior : {None, "standard"}, default=None
            The p(z | y) that the codes are held against: the model's own, or N(0, I) in its place (of a
            ladder, in that of the top level), which tells what priors learned by class are worth.

        Returns
        -------
        reconstruction : ndarray of shape (N,)
            log p(x | z, y) at one z drawn from q(z | x, y).
        kl : ndarray of shape (N,)
            KL(q(z | x, y) || p(z | y)).

        Raises
        ------
        ValueError
            If a label is unknown, a value of X lies outside [0, 1] or `prior` is none of these.
        """
        check_is_fitted(self)
        if prior not in (None, "standard"):
            raise ValueError(f"prior is {prior!r}; allowed are None and 'standard'")
        network = self.network_ if prior is None else self.network_.under_standard_prior()
        terms = evaluation.bound(network, *self._check(X, y))
        return to_numpy(terms.reconstruction), to_numpy(terms.kl)

    def score_samples(self, X: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Return the single-sample bound of each image, (N,), in nats. See ``bound_terms``."""
        reconstruction, kl = self.bound_terms(X, y)
        return reconstruction - kl

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Return the mean bound over the images, in nats per image. See ``bound_terms``."""
        return float(self.score_samples(X, y).mean())

    def log_likelihood(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        n_samples: int = 1000,
        callback: Callback | None = None,
    ) -> NDArray[np.float64]:
        """Estimate log p(x | y) of each image by importance sampling from q(z | x, y), in nats.

        log (1/S) sum_s p(x | z_s, y) p(z_s | y) / q(z_s | x, y), which on average lies between the
        bound and log p(x | y) and rises to the latter with S (Burda et al. 2016).

        Parameters
        ----------
        X : array-like of shape (N, p)
            Images in [0, 1], taken as they are.
        y : array-like of shape (N,)
            Labels out of ``classes_``.
        n_samples : int, default=1000
            S.
        callback : callable, optional
            Called as ``callback("log_likelihood", share_done, images_done)``, several times a
            second.

        Returns
        -------
        ndarray of shape (N,)

        Raises
        ------
        ValueError
            If `n_samples` is below 1, a label is unknown or a value of X lies outside [0, 1].
        """
        check_is_fitted(self)
        x, codes = self._check(X, y)
        return self._log_likelihood(x, codes, n_samples, _progress(callback, len(x)))

    def class_log_likelihood(
        self, X: ArrayLike, *, n_samples: int = 1000, callback: Callback | None = None
    ) -> NDArray[np.float64]:
        """Estimate log p(x | y) of each image under every class, in nats.

        The one pass from which ``bayes`` gives both log p(x) and p(y | x). All classes meet the
        same noise, and column c is what ``log_likelihood`` gives for images labelled
        ``classes_[c]``.

        Parameters
        ----------
        X : array-like of shape (N, p)
            Images in [0, 1], taken as they are.
        n_samples : int, default=1000
            Importance samples per image and class.
        callback : callable, optional
            Called as ``callback("log_likelihood", share_done, images_done)``, an image counting
            once for each class.

        Returns
        -------
        ndarray of shape (N, C)

        Raises
        ------
        ValueError
            If `n_samples` is below 1 or a value of X lies outside [0, 1].
        """
        check_is_fitted(self)
        x = self._check_images(X)
        n_classes = len(self.classes_)
        columns = []
        for code in range(n_classes):
            progress = _progress(callback, n_classes * len(x), done_before=code * len(x))
            codes = torch.full((len(x),), code)
            columns.append(self._log_likelihood(x, codes, n_samples, progress))
        return np.column_stack(columns)

    def log_marginal(
        self, X: ArrayLike, *, n_samples: int = 1000, callback: Callback | None = None
    ) -> NDArray[np.float64]:
        """Estimate log p(x) = log sum_y p(y) p(x | y) of each image, (N,), in nats.

        p(y) is ``class_prior_``. Parameters and errors are those of ``class_log_likelihood``, and
        so is the cost: as many likelihoods as there are classes.
        """
        likelihoods = self.class_log_likelihood(X, n_samples=n_samples, callback=callback)
        return bayes(likelihoods, self.class_prior_)[0]

    def predict_proba(
        self, X: ArrayLike, *, n_samples: int = 100, callback: Callback | None = None
    ) -> NDArray[np.float64]:
        """Return p(y | x) by Bayes' rule, (N, C), columns in the order of ``classes_``.

        Parameters and errors are those of ``class_log_likelihood``; ranking classes takes fewer
        samples than measuring likelihoods.
        """
        likelihoods = self.class_log_likelihood(X, n_samples=n_samples, callback=callback)
        return bayes(likelihoods, self.class_prior_)[1]

    def predict(self, X: ArrayLike, *, n_samples: int = 100) -> NDArray[Any]:
        """Return the class with the largest p(y | x) for each image. See ``predict_proba``."""
        best = self.predict_proba(X, n_samples=n_samples).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[best]
        return labels

    def transform(self, X: ArrayLike, y: ArrayLike) -> NDArray[np.float32]:
        """Return the means of q(z | x, y), (N, n_latents_); in a ladder each level's given the means above.

        Unlike scikit-learn's other transformers this one needs the classes of the images.

        Raises
        ------
        ValueError
            If y is missing, a label is unknown or a value of X lies outside [0, 1].
        """
        check_is_fitted(self)
        return to_numpy(posterior_means(self.network_, *self._check(X, y)))

    def fit_transform(self, X: ArrayLike, y: ArrayLike, **fit_params: Any) -> NDArray[np.float32]:
        """Fit the model and return the means of q(z | x, y) of its images, (N, n_latents_)."""
        return self.fit(X, y, **fit_params).transform(X, y)

    @property
    def _n_features_out(self) -> int:
        return self.n_latents_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _state(self) -> dict[str, Any]:
        state = super()._state()
        for name, tensor in state.pop("network_").state_dict().items():
            state[_NETWORK + name] = tensor.cpu().numpy()
        for name, values in state.pop("history_").items():
            state[_HISTORY + name] = values
        return state

    def _restore(self, state: dict[str, Any]) -> None:
        plain = {k: v for k, v in state.items() if not k.startswith((_NETWORK, _HISTORY))}
        super()._restore(plain)
        self.history_ = {k.removeprefix(_HISTORY): v for k, v in state.items() if k.startswith(_HISTORY)}
        # The weights drawn here are overwritten at once.
        self.network_ = self._build_network(torch.Generator())
        weights = {
            k.removeprefix(_NETWORK): torch.from_numpy(v) for k, v in state.items() if k.startswith(_NETWORK)
        }
        for name, weight in self.network_.state_dict().items():
            if weights[name].dtype != weight.dtype:  # which torch would convert, silently
                raise ValueError(f"{name} is of type {weights[name].dtype}, not {weight.dtype}")
        self.network_.load_state_dict(weights)
        self.network_.to(device_of_fitted(self.device))

    def _check_state(self, state: dict[str, Any]) -> None:
        self._validate_widths()
        weights = {k: v for k, v in state.items() if k.startswith(_NETWORK)}
        history = {k: v for k, v in state.items() if k.startswith(_HISTORY)}
        plain = {k: v for k, v in state.items() if k not in weights and k not in history}
        lengths = check_learned(plain, self._learned)
        if lengths.get("p", state["n_features_in_"]) != state["n_features_in_"]:
            raise ValueError(
                f"feature_names_in_ has {lengths['p']} names for {state['n_features_in_']} pixels"
            )
        self._validate_shape(int(state["n_features_in_"]))
        prior = state["class_prior_"]
        if (prior < 0).any() or not np.isclose(prior.sum(), 1):
            raise ValueError("class_prior_ are no probabilities, which add up to 1")
        _weights_of_classes(self.class_weight, state["classes_"], prior)
        for name, series in history.items():
            if not (isinstance(series, list) and all(type(value) is float for value in series)):
                raise ValueError(f"{name} is no list of numbers")
        n_numbers = 0
        for name, weight in weights.items():
            if not (isinstance(weight, np.ndarray) and np.isfinite(weight).all()):
                raise ValueError(f"{name} has numbers that are not finite, or none")
            n_numbers += weight.size
        # Before so many are made.
        if n_numbers < self._n_weights(state["n_features_in_"], lengths["C"]):
            raise ValueError(f"there are {n_numbers} weights, fewer than the network of its parameters has")

    def _n_weights(self, n_pixels: int, n_classes: int, **changes: Any) -> int:
        sizes = {"n_latents": self.n_latents, "hidden": self.hidden, "spatial": self.spatial, **changes}
        return n_weights(
            self.network,
            self.prior,
            likelihood=self.likelihood,
            n_pixels=n_pixels,
            n_classes=n_classes,
            image_shape=self._shape,
            posterior=self.posterior,
            **sizes,
        )

    def _check_memory(self, n_images: int, device: torch.device) -> None:
        """Refuse sizes that there is not the memory for, before any is asked for."""
        n_pixels, n_classes = self.n_features_in_, len(self.classes_)
        available = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None

        def of_weights(**sizes: Any) -> int:
            return _BYTES_PER_WEIGHT * self._n_weights(n_pixels, n_classes, **sizes)

        n_outputs = pixel_model(self.likelihood, self._shape).n_outputs(n_pixels)

        def of_step(n_particles: int, batch_size: int, spatial: Sequence[int]) -> int:
            of_cells = n_kept(self._shape, spatial, n_outputs) if spatial and self._shape else 0
            return 4 * n_particles * min(batch_size, n_images) * (self.n_latents + n_outputs + of_cells)

        sizes = {"n_latents": self.n_latents, "hidden": self.hidden, "spatial": self.spatial}
        check_memory(sizes, of_weights, "the training of such a network", available)
        step = {"n_particles": self.n_particles, "batch_size": self.batch_size, "spatial": self.spatial}
        check_memory(step, of_step, "a step of training", available)

    def _build_network(self, generator: torch.Generator) -> ConditionalNetwork:
        return build(
            self.network,
            self.prior,
            likelihood=self.likelihood,
            n_pixels=self.n_features_in_,
            n_classes=len(self.classes_),
            n_latents=self.n_latents,
            hidden=self.hidden,
            spatial=self.spatial,
            image_shape=self._shape,
            posterior=self.posterior,
            generator=generator,
        )

    @property
    def _shape(self) -> tuple[int, ...] | None:
        return None if self.image_shape is None else tuple(map(int, self.image_shape))

    def _validate_shape(self, n_pixels: int) -> None:
        """Refuse what is no shape of images of so many pixels."""
        if self.image_shape is None:
            return
        shape, given = list(self.image_shape), f"image_shape is {shown(self.image_shape)}"
        is_shape = len(shape) in (2, 3) and all(
            isinstance(size, Integral) and not isinstance(size, bool) and size >= 1 for size in shape
        )
        if not is_shape or (len(shape) == 3 and shape[2] not in (1, 3)):
            raise ValueError(
                f"{given}; allowed are (height, width) and (height, width, channels), with 1 or 3 channels"
            )
        if math.prod(shape) != n_pixels:
            raise ValueError(f"{given}, which makes {math.prod(shape)} pixels; X has {n_pixels}")

    def _validate_widths(self) -> None:
        for name, widths in (("hidden", self.hidden), ("spatial", self.spatial)):
            for width in widths:
                if not isinstance(width, Integral) or width < 1:
                    raise ValueError(
                        f"{name} is {shown(widths)}, but every width must be an integer of at least 1"
                    )
        if self.network == "ladder":
            check_levels(self.hidden, self.n_latents, self.spatial, self.image_shape)
        elif self.spatial:
            raise ValueError(
                f"spatial is {shown(self.spatial)}, but network is {self.network!r}, which has no levels"
            )

    def _check_training(self, X: Any, y: ArrayLike) -> tuple[Tensor | ReadImages, NDArray[Any]]:
        if are_read(X):
            labels = validate_data(self, y=y)
            check_classification_targets(labels)
            is_binary = pixel_model(self.likelihood).is_binary
            images = ReadImages(X, self._check_block, self._to_pixels, binarise=is_binary, window=self.window)
            check_consistent_length(images, labels)
            return images, labels
        X, labels = validate_data(self, X, y)
        self._validate_shape(self.n_features_in_)
        check_classification_targets(labels)
        return self._to_pixels(X), labels

    def _check_block(self, block: Any, is_first: bool) -> NDArray[Any]:
        # Not finite is not in [0, 1] either, and of that the row is named.
        found: NDArray[Any] = validate_data(self, block, reset=is_first, ensure_all_finite=False)
        if is_first:
            self._validate_shape(self.n_features_in_)
        return found

    def _check(self, X: Any, y: ArrayLike) -> tuple[Tensor | ReadImages, Tensor]:
        x = self._check_images(X)
        codes = self._encode(y)
        check_consistent_length(x, codes)
        return x, codes

    def _check_images(self, X: Any) -> Tensor | ReadImages:
        if are_read(X):
            return ReadImages(X, lambda block, _: self._check_block(block, False), self._to_pixels)
        return self._to_pixels(validate_data(self, X, reset=False))

    def _to_pixels(self, X: Any, first: int = 0) -> Tensor:
        return as_pixels(X, first)

    def _encode(self, y: ArrayLike) -> Tensor:
        if y is None:
            raise ValueError(
                "y is missing: every distribution of a ConditionalVAE is conditioned on the class"
            )
        labels = column_or_1d(y).tolist()
        known = {label: code for code, label in enumerate(self.classes_.tolist())}
        for row, label in enumerate(labels):
            if label not in known:
                raise ValueError(
                    f"y[{row}] is {shown(label)}, which is no class of the training data; "
                    f"known are {list(known)!r:.200}"
                )
        return torch.tensor([known[label] for label in labels], dtype=torch.int64)

    def _log_likelihood(
        self, x: Tensor | ReadImages, codes: Tensor, n_samples: int, on_progress: Callable[[int], None] | None
    ) -> NDArray[np.float64]:
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples is {n_samples}, but must be a whole number of at least 1")
        precision = choose_pace(self.precision, False, self.network_, n_steps=0).precision
        return to_numpy(
            evaluation.log_likelihood(
                self.network_, x, codes, n_samples, precision=precision, on_progress=on_progress
            )
        )


def _codes_of(labels: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place of each label among the classes, which are sorted."""
    codes = np.empty(len(labels), np.int64)
    for rows in gen_batches(len(labels), _LABELS_AT_ONCE):  # or sorting would take several times the memory
        codes[rows] = np.searchsorted(classes, labels[rows])
    return codes


def _weights_of_classes(
    class_weight: dict[Any, float] | str | None, classes: NDArray[Any], prior: NDArray[np.float64]
) -> NDArray[np.float32] | None:
    """Return what the objective of each class is multiplied by, (C,); None where all count alike."""
    if class_weight is None:
        return None
    if isinstance(class_weight, str):  # balanced
        return (1 / (len(classes) * prior)).astype(np.float32)
    labels = classes.tolist()
    least, most = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
    for label, weight in class_weight.items():
        if label not in labels:
            raise ValueError(
                f"class_weight names {label!r:.80}, which is none of the classes {some_of(labels)}"
            )
        is_number = isinstance(weight, int | float | np.integer | np.floating) and not isinstance(
            weight, bool
        )
        if not is_number or not least <= weight <= most:
            raise ValueError(
                f"class_weight of {label!r:.80} is {shown(weight)}, but must be a number from "
                f"{least:.3g} to {most:.3g}"
            )
    weights = np.array([class_weight.get(label, 1.0) for label in labels], np.float32)
    return None if (weights == 1).all() else weights


def _check_alike(ranks: Ranks, fingerprint: Mapping[str, Any]) -> None:
    """Refuse a training that is not the same in all processes; all of them do."""
    first, *others = ranks.of_all(fingerprint)
    for rank, other in enumerate(others, start=1):
        if different := differences(other, first):
            raise ValueError(
                f"process {rank} of {ranks.size} would train something else than process 0 ("
                f"{printable('; '.join(different)[:1000])}; 'there' is process {rank})"
            )


def _progress(callback: Callback | None, total: int, done_before: int = 0) -> Callable[[int], None] | None:
    if callback is None:
        return None
    return lambda done: callback("log_likelihood", (done_before + done) / total, done_before + done)
