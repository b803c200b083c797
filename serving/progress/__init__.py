"""How far a learner has come: points, streak and quests, as one answer."""
