"""Proximal policy optimisation (Schulman et al. 2017, arXiv:1707.06347) with generalised advantages (arXiv:1506.02438), a step
size that follows the divergence, and mirror symmetry (Yu et al. 2018, arXiv:1801.08093; Abdolhosseini et al. 2019)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import elu, linear

from telerig.hardware.errors import DataError
from telerig.policies.body.train.actor import CLIP, VALUE_SCALE, layout, size
from telerig.policies.body.train.config import PpoConfig
from telerig.policies.body.train.joints import LEG_MIRROR
from telerig.policies.body.train.normalise import Normaliser
from telerig.policies.body.train.observe import MIRROR_SIGN, MIRROR_SOURCE, N_ACTOR

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Samples:
    """A batch of steps in order.

    ``observation`` (t, n, N_CRITIC); ``action``, ``mean`` (t, n, 12); ``reward`` (t, n), with what a cut-off episode would
    have been worth added; ``over`` (t, n); ``last`` (n, N_CRITIC): the observation after the last step.
    """

    observation: F32
    action: F32
    mean: F32
    reward: F32
    over: NDArray[np.bool_]
    last: F32


def advantages(reward: F32, value: F32, over: NDArray[np.bool_], gamma: float, lam: float) -> F32:
    """Generalised advantages ``(t, n)``; ``value`` is ``(t + 1, n)``."""
    out = np.zeros_like(reward)
    running = np.zeros(reward.shape[1], np.float32)
    for t in reversed(range(len(reward))):
        goes_on = 1.0 - over[t]
        surprise = reward[t] + gamma * value[t + 1] * goes_on - value[t]
        running = surprise + gamma * lam * goes_on * running
        out[t] = running
    return out


def fading(steps: float, begin: float, end: float) -> float:
    """1 until ``begin``, 0 from ``end`` on, linear in between."""
    return min(1.0, max(0.0, (end - steps) / max(1.0, end - begin)))


class Learner:
    """Owns parameters, optimiser and normaliser."""

    def __init__(self, config: PpoConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.flat = torch.zeros(size(config), dtype=torch.float32)
        self.normaliser = Normaliser()
        self._slots = layout(config)
        self._initialise(torch.Generator().manual_seed(seed))
        self.parameters = {s.name: self.flat[s.start : s.end].view(s.shape).requires_grad_(True) for s in self._slots}
        self.rate = config.rate
        # `capturable` and `foreach` would reorder sums; the plain fused one is the same everywhere
        self.optimiser = torch.optim.Adam(list(self.parameters.values()), lr=self.rate, fused=True)
        self._legs_from, self._legs_sign = torch.tensor(LEG_MIRROR[0]), torch.tensor(LEG_MIRROR[1], dtype=torch.float32)

    def _initialise(self, generator: torch.Generator) -> None:
        for slot in self._slots:
            view = self.flat[slot.start : slot.end].view(slot.shape)
            if slot.name == "log_sigma":
                view.fill_(math.log(self.config.sigma))
            elif slot.name.endswith("weight"):
                torch.nn.init.orthogonal_(view, gain=math.sqrt(2), generator=generator)
                if slot.shape[0] in (1, len(LEG_MIRROR[0])):  # the last layers: the reference alone at first
                    view.mul_(0.01)

    def network(self, name: str, x: Tensor) -> Tensor:
        """``actor`` or ``critic`` on normalised observations."""
        weights = [s.name for s in self._slots if s.name.startswith(f"{name}.") and s.name.endswith("weight")]
        for i in range(len(weights)):
            x = linear(x, self.parameters[f"{name}.{i}.weight"], self.parameters[f"{name}.{i}.bias"])
            if i < len(weights) - 1:
                x = elu(x)
        return x

    def update(self, samples: Samples, number: int) -> dict[str, float]:
        """One update from one batch.  :returns: means of losses and diagnostics."""
        c = self.config
        observation = torch.from_numpy(self._normal(samples.observation.reshape(-1, samples.observation.shape[-1])))
        with torch.no_grad():
            last = torch.from_numpy(self._normal(samples.last))
            both = torch.cat((self.network("critic", observation), self.network("critic", last)))
            value = (VALUE_SCALE * both[:, 0]).numpy().reshape(len(samples.reward) + 1, -1)
        gain = advantages(samples.reward, value, samples.over, c.gamma, c.lam)
        returns = torch.from_numpy((gain + value[:-1]).reshape(-1))
        gain = (gain - gain.mean()) / (gain.std() + 1e-8)
        log_sigma = self.parameters["log_sigma"].detach().clone()
        fixed = (
            observation, torch.from_numpy(samples.action.reshape(-1, samples.action.shape[-1])),
            torch.from_numpy(samples.mean.reshape(-1, samples.mean.shape[-1])), torch.from_numpy(gain.reshape(-1)), returns,
        )  # fmt: skip
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        entropy = c.entropy * fading(number * len(observation), *c.entropy_fades)
        sums: dict[str, float] = {}
        for _ in range(c.epochs):
            for rows in torch.randperm(len(observation), generator=generator).chunk(c.minibatches):
                for k, v in self._minibatch(entropy, log_sigma, *(x[rows] for x in fixed)).items():
                    sums[k] = sums.get(k, 0.0) + v / (c.epochs * c.minibatches)
        if not all(math.isfinite(v) for v in sums.values()):
            raise DataError(f"training diverged in update {number}: {sums}")
        explained = 1 - float((returns - torch.from_numpy(value[:-1].reshape(-1))).var() / (returns.var() + 1e-8))
        sigma = float(self.parameters["log_sigma"].detach().exp().mean())
        return sums | {"rate": self.rate, "sigma": sigma, "explained": explained, "value": float(returns.mean())}

    def _minibatch(
        self,
        entropy_weight: float,
        log_sigma: Tensor,
        observation: Tensor,
        action: Tensor,
        mean: Tensor,
        gain: Tensor,
        returns: Tensor,
    ) -> dict[str, float]:
        c, n = self.config, len(observation)
        old = _log_probability(action, mean, log_sigma)
        mirrored = c.mirror_samples or c.mirror_loss > 0
        seen = torch.cat((observation, self._mirror_observation(observation))) if mirrored else observation
        means = self.network("actor", seen[:, :N_ACTOR])
        m = 2 if c.mirror_samples else 1
        if c.mirror_samples:
            action, old = torch.cat((action, self._mirror_action(action))), old.repeat(2)
            gain, returns = gain.repeat(2), returns.repeat(2)
        sigma = self.parameters["log_sigma"]
        ratio = (_log_probability(action, means[: m * n], sigma) - old).exp()
        policy_loss = -torch.minimum(ratio * gain, ratio.clamp(1 - c.clip, 1 + c.clip) * gain).mean()
        value_loss = (self.network("critic", seen[: m * n])[:, 0] - returns / VALUE_SCALE).square().mean()
        entropy = (sigma + 0.5 * math.log(2 * math.pi * math.e)).sum()
        loss = policy_loss + c.value_weight * value_loss - entropy_weight * entropy
        mirror = torch.zeros(())
        if c.mirror_loss > 0:
            mirror = (means[:n] - self._mirror_action(means[n:])).square().mean()
            loss = loss + c.mirror_loss * mirror
        self._step(loss)
        with torch.no_grad():
            kl = _divergence(mean, log_sigma, means[:n], sigma)
        self._adapt(float(kl))
        return {
            "policy_loss": float(policy_loss.detach()), "value_loss": float(value_loss.detach()),
            "mirror_loss": float(mirror.detach()), "kl": float(kl),
        }  # fmt: skip

    def _step(self, loss: Tensor) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        # apart, or the critic's large gradients would shrink the policy's
        for name in ("actor", "critic"):
            own = [
                p for k, p in self.parameters.items() if k.startswith(name) or (k == "log_sigma" and name == "actor")
            ]
            torch.nn.utils.clip_grad_norm_(own, self.config.grad_norm)
        self.optimiser.step()
        with torch.no_grad():
            self.parameters["log_sigma"].clamp_(min=math.log(self.config.sigma_floor))

    def _adapt(self, kl: float) -> None:
        low, high = self.config.rate_range
        if kl > 2 * self.config.kl_target:
            self.rate = max(low, self.rate / 1.5)
        elif kl < 0.5 * self.config.kl_target:
            self.rate = min(high, self.rate * 1.5)

    def _normal(self, observation: F32) -> F32:
        mean, deviation = self.normaliser.mean.astype(np.float32), self.normaliser.deviation.astype(np.float32)
        out: F32 = np.clip((observation - mean) / deviation, -CLIP, CLIP)
        return out

    def _mirror_observation(self, x: Tensor) -> Tensor:
        return x[:, _SOURCE] * _SIGN

    def _mirror_action(self, x: Tensor) -> Tensor:
        return x[:, self._legs_from] * self._legs_sign

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and moments: what :meth:`restore` needs besides the normaliser and the rate."""
        out = {f"model.{k}": v.detach().clone() for k, v in self.parameters.items()}
        for i, moments in self.optimiser.state_dict()["state"].items():
            out |= {f"adam.{i}.{k}": v.clone() for k, v in moments.items()}
        return out

    def restore(self, tensors: Mapping[str, Tensor], rate: float) -> None:
        """Go on from saved tensors."""
        moments: dict[int, dict[str, Any]] = {}
        with torch.no_grad():
            for key, value in tensors.items():
                kind, _, name = key.partition(".")
                if kind == "model":
                    self.parameters[name].copy_(value)
                elif kind == "adam":
                    index, _, field = name.partition(".")
                    moments.setdefault(int(index), {})[field] = value.clone()
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self.rate = rate


_SOURCE, _SIGN = torch.tensor(MIRROR_SOURCE), torch.tensor(MIRROR_SIGN, dtype=torch.float32)


def _log_probability(action: Tensor, mean: Tensor, log_sigma: Tensor) -> Tensor:
    scaled = (action - mean) / log_sigma.exp()
    return -(0.5 * scaled.square() + log_sigma + 0.5 * math.log(2 * math.pi)).sum(dim=1)


def _divergence(mean: Tensor, log_sigma: Tensor, new_mean: Tensor, new_log_sigma: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the new from the old Gaussians, mean over the batch."""
    spread = (log_sigma.exp().square() + (mean - new_mean).square()) / (2 * new_log_sigma.exp().square())
    return (new_log_sigma - log_sigma + spread - 0.5).sum(dim=1).mean()
