"""The same dynamics in plain scikit-learn calls, without caches.

It is the baseline for the package's speed, and a second implementation of the rules: a test checks that both give the
same numbers for the same task, seed and actions. It takes its constants from the package, but not its computations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import make_classification
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import StandardScaler

from dataselect_env.core import data, learner, reward
from dataselect_env.core.arrays import Floats, Indices
from dataselect_env.core.tasks import MIN_BATCH, TASKS


@dataclass
class Result:
    """Outcome of a step: the reward without terminal term, and the values in the observation."""

    reward: float
    performance: float
    diversity_score: float
    noise_ratio: float
    done: bool


class TextbookEnv:
    """One environment; ``reset`` generates the data set and warms up a model."""

    def reset(self, task_id: str, seed: int) -> float:
        """Start an episode and return its first performance."""
        self.task = TASKS[task_id]
        noise, selection, training = np.random.SeedSequence(seed).spawn(3)
        self.selection_rng, self.training_rng = np.random.default_rng(selection), np.random.default_rng(training)
        number = data.dataset_number(seed)
        X, y = make_classification(**data.GENERATOR, random_state=number)
        scaler = StandardScaler().fit(np.concatenate([X[:100], X[400:]]))
        X = scaler.transform(X)
        self.X_train, self.y_train = X[:100], y[:100]
        self.X_validation, self.y_validation = X[200:400], y[200:400]
        self.X_pool, y_pool = X[400:], y[400:]
        self.model = SGDClassifier(
            loss="log_loss", learning_rate="optimal", alpha=learner.ALPHA, shuffle=False, random_state=0
        )
        self.train(learner.WARM_UP_PASSES, np.random.default_rng(number))
        self.mislabelled = self.draw_noise(data.world_of(seed), np.random.default_rng(noise))
        self.y_pool = np.where(self.mislabelled, 1 - y_pool, y_pool)
        self.used = self.steps = 0
        self.performance = self.measure()
        return self.performance

    def draw_noise(self, world: str, rng: np.random.Generator) -> Floats:
        """Return the mask of the mislabelled samples."""
        if world == "confident":
            by = np.abs(self.model.decision_function(self.X_pool))
        else:
            by = -np.linalg.norm(self.X_pool - self.X_pool.mean(axis=0), axis=1)
        rank = by.argsort().argsort() / (len(by) - 1)
        priority = data.SHARPNESS * rank + rng.gumbel(size=len(by))
        mask = np.zeros(len(by), dtype=bool)
        mask[np.argsort(-priority)[: round(self.task.flip_y * len(by))]] = True
        return mask

    def step(self, batch_size: int, weights: dict[str, float]) -> Result:
        """Buy a batch and train on everything acquired."""
        batch_size = min(max(batch_size, MIN_BATCH), self.task.budget - self.used, len(self.X_pool))
        batch = self.choose(batch_size, weights)
        X, y, noise_ratio = self.X_pool[batch], self.y_pool[batch], self.mislabelled[batch].mean()
        centroid = self.X_train.mean(axis=0)
        distance = np.linalg.norm(X - centroid, axis=1).mean()
        redundancy = (1 + cosine_similarity(X, centroid.reshape(1, -1)).mean()) / 2

        self.X_pool, self.y_pool = np.delete(self.X_pool, batch, axis=0), np.delete(self.y_pool, batch)
        self.mislabelled = np.delete(self.mislabelled, batch)
        self.X_train, self.y_train = np.concatenate([self.X_train, X]), np.concatenate([self.y_train, y])
        self.train(learner.passes_for(self.used, self.used + batch_size), self.training_rng)
        self.used += batch_size
        self.steps += 1
        before, self.performance = self.performance, self.measure()
        gain = reward.PERFORMANCE_COEFFICIENT * (self.performance - before) + reward.DISTANCE_COEFFICIENT * distance
        return Result(
            reward=gain
            - reward.COST_PER_SAMPLE * batch_size
            - reward.REDUNDANCY_COEFFICIENT * redundancy
            - (1 + 2 * self.task.flip_y) * noise_ratio
            + reward.BASELINE,
            performance=self.performance,
            diversity_score=self.X_train.std(),
            noise_ratio=noise_ratio,
            done=self.used == self.task.budget or self.steps == self.task.max_steps,
        )

    def choose(self, batch_size: int, weights: dict[str, float]) -> Indices:
        """Return the indices of the batch among the remaining samples of the pool."""
        exact = {name: batch_size * weight / sum(weights.values()) for name, weight in weights.items()}
        counts = {name: int(share) for name, share in exact.items()}
        for name in sorted(exact, key=lambda name: counts[name] - exact[name])[: batch_size - sum(counts.values())]:
            counts[name] += 1
        left = np.arange(len(self.X_pool))
        probability = np.clip(self.model.predict_proba(self.X_pool), 1e-300, 1)
        entropy = -(probability * np.log(probability)).sum(axis=1)
        entropy[self.mislabelled] += min(0.1 + 2 * self.task.flip_y, 0.55)
        by_uncertainty = np.argsort(-entropy, kind="stable")[: counts["uncertainty"]]
        left = np.setdiff1d(left, by_uncertainty)
        distance = np.linalg.norm(self.X_pool[left] - self.X_train.mean(axis=0), axis=1)
        by_diversity = left[np.argsort(-distance, kind="stable")[: counts["diversity"]]]
        left = np.setdiff1d(left, by_diversity)
        at_random = left[:0]
        if counts["random"]:
            at_random = self.selection_rng.choice(left, counts["random"], replace=False)
        return np.concatenate([by_uncertainty, by_diversity, at_random])

    def train(self, passes: int, rng: np.random.Generator) -> None:
        """Train with one call of ``partial_fit`` per pass."""
        for _ in range(passes):
            order = rng.permutation(len(self.y_train))
            self.model.partial_fit(self.X_train[order], self.y_train[order], classes=[0, 1])

    def measure(self) -> float:
        """Return 1 / (1 + log loss) on the validation split."""
        probability = self.model.predict_proba(self.X_validation)
        return float(1 / (1 + log_loss(self.y_validation, probability)))
