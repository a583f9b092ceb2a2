"""The online half: records in, features, scores and alerts out."""
