"""Progress of a learner: points for what is applied, streaks of refreshing in time, quests to the role. Never for volume."""
