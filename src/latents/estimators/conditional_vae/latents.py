"""A trained network's latents: codes of images, images of codes, and the paths between two of them.

``LatentMethods`` is what a ``ConditionalVAE`` says of them. The functions below it work in batches, without
gradients, on the network's own device; what they are given may lie on any.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn.functional import normalize

from latents.estimators.conditional_vae.evaluation import Rows, in_batches, one_below_the_other
from latents.estimators.conditional_vae.interface import ConditionalNetwork
from latents.memory import check_memory
from latents.messages import shown

# Sine of the angle up to which both ends point the same way, or opposite ways.
_FLAT = 1e-4
# Latents are drawn from Gaussians near N(0, I). A network would make numbers of much larger ones that are none, on
# one processor sooner than on another.
_LARGEST_LATENT = 1e6


class LatentMethods:
    """The methods of ``ConditionalVAE`` that go from images to latents and back."""

    if TYPE_CHECKING:
        classes_: NDArray[Any]
        network_: ConditionalNetwork
        n_features_in_: int
        random_state: int | np.random.RandomState | None

        def _check(self, X: Any, y: ArrayLike) -> tuple[Rows, Tensor]: ...
        def _encode(self, y: ArrayLike) -> Tensor: ...

    @property
    def n_latents_(self) -> int:
        """L, the latents of all levels together."""
        return self.network_.n_latents

    def inverse_transform(self, Z: ArrayLike, y: ArrayLike) -> NDArray[np.float32]:
        """Return the means of the pixels, p(x | z, y), at given latents.

        Parameters
        ----------
        Z : array-like of shape (N, n_latents_)
            Latents z, as ``transform`` gives them, from -1e6 to 1e6.
        y : array-like of shape (N,) or (N, C)
            Labels out of ``classes_``; or for each row the weights of all classes in their order,
            from 0 to 1 and summing to one, to look between classes. The model was trained at the
            corners only.

        Returns
        -------
        ndarray of shape (N, p)
            In [0, 1]: probabilities of Bernoulli pixels, means of others.

        Raises
        ------
        ValueError
            If a shape does not fit, a label is unknown, weights are none, or a latent is no number or too large.
        """
        check_is_fitted(self)
        z = torch.from_numpy(_latents(check_array(Z, dtype="numeric"), "Z"))
        if z.shape[1] != self.n_latents_:
            raise ValueError(f"Z has {z.shape[1]} columns, but the model has {self.n_latents_} latents")
        classes = self._classes(y)
        check_consistent_length(z, classes)
        return to_numpy(pixel_means(self.network_, z, classes))

    def reconstruct(self, X: ArrayLike, y: ArrayLike) -> NDArray[np.float32]:
        """Return the means of the pixels of p(x | z, y) at the mean z of q(z | x, y), (N, p).

        Raises
        ------
        ValueError
            If a label is unknown or a value of X lies outside [0, 1].
        """
        check_is_fitted(self)
        x, codes = self._check(X, y)
        return to_numpy(pixel_means(self.network_, posterior_means(self.network_, x, codes), codes))

    def sample(
        self,
        y: ArrayLike,
        *,
        pixels: str = "means",
        noise: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> NDArray[np.float32]:
        """Generate one image for each entry of `y`: z from p(z | y), then its pixels or their means.

        Parameters
        ----------
        y : array-like of shape (N,) or (N, C)
            Labels out of ``classes_``, or weights of all classes, as in ``inverse_transform``.
        pixels : {"means", "drawn"}, default="means"
            The means of p(x | z, y), or draws of it, which is what the model says images are like:
            binary, of 256 grey values, or with Gaussian noise. The same seed gives both from the same z.
        noise : array-like of shape (N, n_latents_), optional
            Standard normal numbers that z is the draw by, one style in every class; by default drawn as
            `random_state` says.
        random_state : int, RandomState instance or None, default=None
            Where z and the pixels come from; None is the estimator's own `random_state`, as in
            scikit-learn's mixtures.

        Returns
        -------
        ndarray of shape (N, p)
            Means, in [0, 1], of Bernoulli pixels the probabilities; or draws, 0 and 1, grey values,
            or Gaussian ones, which may leave [0, 1].

        Raises
        ------
        ValueError
            If a label is unknown, weights are none, `pixels` is neither, or `noise` is not of that shape or no
            numbers.
        """
        check_is_fitted(self)
        if pixels not in ("means", "drawn"):
            raise ValueError(f"pixels is {shown(pixels)}; allowed are 'means' and 'drawn'")
        codes = self._classes(y)
        state = check_random_state(self.random_state if random_state is None else random_state)
        shape = len(codes), self.n_latents_
        if noise is None:
            given = state.standard_normal(shape)
        elif np.shape(noise) != shape:
            raise ValueError(f"noise is of shape {np.shape(noise)}, but must be {shape}")
        else:
            given = check_array(noise, dtype="numeric", ensure_min_samples=0, input_name="noise")
        rows = torch.from_numpy(_latents(given, "noise"))
        drawn = drawn_images(self.network_, rows, codes, state if pixels == "drawn" else None)
        return to_numpy(drawn)

    def interpolate(
        self, X_from: ArrayLike, y_from: ArrayLike, X_to: ArrayLike, y_to: ArrayLike, *, steps: int = 9
    ) -> NDArray[np.float32]:
        r"""Go from each image of one set to its partner of another, through the latents.

        The latents are taken in units of p(z | y), e = (z - m_y) / s_y, and led along the arc

        .. math::

            e(t) = |e|(t) \frac{\sin((1 - t) \Omega)\, \hat{e}_0 + \sin(t \Omega)\, \hat{e}_1}{\sin \Omega}

        with the angle \Omega between both ends, their lengths |e| in even steps. Draws of N(0, I) lie
        near a sphere of radius sqrt(L); a straight line would cut through its inside, where hardly
        any code lies and images come out blurred (White 2016, "Sampling Generative Networks").
        Meanwhile the weight of the class moves in even steps from the one to the other, which
        changes nothing where both are the same.

        Parameters
        ----------
        X_from, X_to : array-like of shape (N, p)
            Images in [0, 1].
        y_from, y_to : array-like of shape (N,)
            Their classes.
        steps : int, default=9
            Images of each path, both ends included.

        Returns
        -------
        ndarray of shape (N, steps, p)
            Means of the pixels. The ends are ``reconstruct`` of both images.

        Raises
        ------
        ValueError
            If the lengths differ, `steps` is below 2, a label is unknown or a value lies outside
            [0, 1].
        """
        check_is_fitted(self)
        if steps < 2:
            raise ValueError(f"steps is {steps}, but a path has at least its 2 ends")
        ends = [self._check(X, y) for X, y in ((X_from, y_from), (X_to, y_to))]
        check_consistent_length(X_from, X_to)
        n_numbers = self.n_latents_ + self.n_features_in_ + len(self.classes_)
        check_memory(
            {"steps": steps}, lambda steps: 4 * steps * len(ends[0][0]) * n_numbers, "images of such paths"
        )
        share = torch.linspace(0, 1, steps)[:, None, None]
        start, end = (standard_codes(self.network_, x, codes).cpu() for x, codes in ends)
        path = arc(start, end, share).flatten(0, 1)
        here, there = (torch.eye(len(self.classes_))[codes] for _, codes in ends)
        images = drawn_images(self.network_, path, torch.lerp(here, there, share).flatten(0, 1))
        return to_numpy(images.reshape(steps, len(ends[0][0]), -1).transpose(0, 1).contiguous())

    def restyle(self, X: ArrayLike, y: ArrayLike, to: ArrayLike) -> NDArray[np.float32]:
        """Keep what the latents say of images, and make images of other classes of it.

        The mean of q(z | x, y) in units of p(z | y) is kept, and the prior's own mean and spread are
        those of the other class (Kingma et al. 2014, "Semi-supervised Learning with Deep Generative
        Models", figure 1, has such analogies).

        Parameters
        ----------
        X : array-like of shape (N, p)
            Images in [0, 1].
        y : array-like of shape (N,)
            Their classes.
        to : array-like of shape (N,) or (N, C)
            The classes to have instead, or weights of all classes, as in ``inverse_transform``.

        Returns
        -------
        ndarray of shape (N, p)
            Means of the pixels.

        Raises
        ------
        ValueError
            If a shape does not fit, a label is unknown or a value of X lies outside [0, 1].
        """
        check_is_fitted(self)
        x, codes = self._check(X, y)
        classes = self._classes(to)
        check_consistent_length(x, classes)
        style = standard_codes(self.network_, x, codes)
        return to_numpy(drawn_images(self.network_, style, classes))

    def traverse(
        self, y: ArrayLike, *, latents: ArrayLike, values: ArrayLike = (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)
    ) -> NDArray[np.float32]:
        """Move one latent at a time and leave the others where p(z | y) has its mean.

        Parameters
        ----------
        y : array-like of shape (N,)
            Labels out of ``classes_``.
        latents : array-like of int, of shape (K,)
            Which to move, 0 to n_latents_ - 1; ``latent_variances`` tells the most active.
        values : array-like of shape (V,)
            Where to, in standard deviations of p(z | y), from -1e6 to 1e6.

        Returns
        -------
        ndarray of shape (N, K, V, p)
            Means of the pixels.

        Raises
        ------
        ValueError
            If a label is unknown, there is no such latent, or a value is no number or too large.
        """
        check_is_fitted(self)
        codes, units = self._encode(y), np.asarray(latents)
        stops = torch.from_numpy(_latents(np.asarray(values), "values"))
        n_latents = self.n_latents_
        for unit in units:
            if not 0 <= unit < n_latents:
                raise ValueError(f"latents has {unit}, but allowed are 0 to {n_latents - 1}")
        shape = (len(codes), len(units), len(stops))
        noise = torch.zeros(*shape, n_latents)
        for place, unit in enumerate(units):
            noise[:, place, :, int(unit)] = stops
        classes = codes.repeat_interleave(shape[1] * shape[2])
        return to_numpy(drawn_images(self.network_, noise.flatten(0, 2), classes).reshape(*shape, -1))

    def latent_variances(self, X: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Return how much the mean of q(z | x, y) varies over the images, (n_latents_,), the measure of activity.

        The mean is taken in units of p(z | y), (m_q - m_p) / s_p, so that a learned prior that
        differs by class does not count. A latent near 0 tells nothing of the images; one that tells
        them exactly comes near 1.

        Raises
        ------
        ValueError
            If a label is unknown or a value of X lies outside [0, 1].
        """
        check_is_fitted(self)
        codes = standard_codes(self.network_, *self._check(X, y))
        return to_numpy(codes.double().var(dim=0, correction=0))

    def active_units(self, X: ArrayLike, y: ArrayLike, *, threshold: float = 0.01) -> NDArray[np.bool_]:
        """Tell which latents carry information about the images.

        A unit is active when ``latent_variances`` is above `threshold`; for p(z | y) = N(0, I) that
        is the definition of Burda et al. (2016, section 5.2).

        Parameters
        ----------
        X : array-like of shape (N, p)
            Images in [0, 1].
        y : array-like of shape (N,)
            Labels out of ``classes_``.
        threshold : float, default=0.01
            Variance above which a unit is active.

        Returns
        -------
        ndarray of shape (n_latents_,), bool
            Sum it for the number of active units.

        Raises
        ------
        ValueError
            If a label is unknown or a value of X lies outside [0, 1].
        """
        active: NDArray[np.bool_] = self.latent_variances(X, y) > threshold
        return active

    def class_priors(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return means and standard deviations of p(z | y), each (C, l), in the order of ``classes_``.

        Of a ladder they are those of its top level, the l first latents; there is no one Gaussian for others.
        """
        check_is_fitted(self)
        codes = torch.arange(len(self.classes_), device=self.network_.device)
        with torch.inference_mode():
            mean, log_variance = self.network_.top_prior(codes)
        return to_numpy(mean), to_numpy(torch.exp(0.5 * log_variance))

    def _classes(self, y: ArrayLike) -> Tensor:
        """Return labels as codes, (N,), and weights of the classes as they are, (N, C), once checked."""
        if np.ndim(y) != 2:
            return self._encode(y)
        weights = np.asarray(y, dtype=np.float32)
        if weights.shape[1] != len(self.classes_):
            raise ValueError(f"y has {weights.shape[1]} columns, but there are {len(self.classes_)} classes")
        wrong = (weights < 0).any(axis=1) | ~np.isclose(weights.sum(axis=1), 1, atol=1e-4)
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(
                f"y[{row}] is {weights[row].tolist()}; allowed are weights from 0 that sum to one"
            )
        return torch.from_numpy(weights)


@torch.inference_mode()
def posterior_means(network: ConditionalNetwork, x: Rows, y: Tensor) -> Tensor:
    """Return the means of q(z | x, y), (N, L), on the network's device, for pixels x and class codes y."""
    return one_below_the_other((network.code(*rows) for rows in in_batches(network, x, y)), len(x))


@torch.inference_mode()
def standard_codes(network: ConditionalNetwork, x: Rows, y: Tensor) -> Tensor:
    """Return the means of q(z | x, y) in units of p(z | y), (N, L), on the network's device."""
    codes = (network.standardise(network.code(*rows), rows[1]) for rows in in_batches(network, x, y))
    return one_below_the_other(codes, len(x))


@torch.inference_mode()
def pixel_means(network: ConditionalNetwork, z: Tensor, y: Tensor) -> Tensor:
    """Return the means of the pixels, (N, p) on the CPU, for latents z (N, L) and classes y."""
    through = (network.passage(rows_y, z=rows_z) for rows_z, rows_y in in_batches(network, z, y))
    means = (network.pixels.means(passage.outputs).cpu() for passage in through)
    return one_below_the_other(means, len(z))


@torch.inference_mode()
def drawn_images(
    network: ConditionalNetwork, noise: Tensor, y: Tensor, state: np.random.RandomState | None = None
) -> Tensor:
    """Return images of the draws of p(z | y) that standard normal noise (N, L) stands for, (N, p) on the CPU.

    They are the means of the pixels, or draws of them by `state`.
    """
    through = (network.passage(rows_y, noise=rows) for rows, rows_y in in_batches(network, noise, y))
    pixels = network.pixels
    images = (
        pixels.means(passage.outputs) if state is None else pixels.draw(passage.outputs, state)
        for passage in through
    )
    return one_below_the_other((rows.cpu() for rows in images), len(noise))


def arc(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Return the points on the arc between vectors, the given share of the way; lengths in even steps.

    Parameters
    ----------
    start, end : Tensor of shape (N, L)
        Where two of them span no plane (the same way, opposite ways, or no length), the way is straight.
    share : Tensor of shape (S, 1, 1)
        From 0 to 1.

    Returns
    -------
    Tensor of shape (S, N, L)
    """
    first, last = start.norm(dim=-1, keepdim=True), end.norm(dim=-1, keepdim=True)
    from_, to = normalize(start, dim=-1), normalize(end, dim=-1)
    angle = torch.arccos((from_ * to).sum(-1, keepdim=True).clamp(-1, 1))
    direction = (torch.sin((1 - share) * angle) * from_ + torch.sin(share * angle) * to) / torch.sin(angle)
    return torch.where(
        (torch.sin(angle) > _FLAT) & (first > 0) & (last > 0),
        torch.lerp(first, last, share) * direction,
        torch.lerp(start, end, share),
    )


def _latents(given: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Return latents in single precision, none of them NaN or too large."""
    wrong = ~(np.abs(given) <= _LARGEST_LATENT)
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0].tolist())
        raise ValueError(
            f"{name}[{', '.join(map(str, place))}] is {given[place]}; allowed are latents from "
            f"{-_LARGEST_LATENT:g} to {_LARGEST_LATENT:g}"
        )
    return np.array(given, dtype=np.float32)


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor of any device as an array."""
    array: NDArray[Any] = tensor.cpu().numpy()
    return array
