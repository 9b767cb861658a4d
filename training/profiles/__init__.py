"""Unsupervised profiles: a vector, an anomaly score and a segment of each person.

people ──> standard ──> autoencoder ──> anomaly ──> segments ──> report
(rows)     (columns of   (pca beside)    (as odd as  (k-means,    (the part of
            one scale)                    the top x)   named)       the bundle)
"""
