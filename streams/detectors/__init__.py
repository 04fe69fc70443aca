"""Drift detectors. A new one is a file that satisfies `detector.Detector` and a line here."""

from streams.detectors.detector import Detector, Reading, View
from streams.detectors.label_psi import LabelPsi
from streams.detectors.shiryaev_roberts import ShiryaevRoberts

__all__ = ["DETECTORS", "Detector", "Reading", "View"]

DETECTORS: tuple[type[Detector], ...] = (ShiryaevRoberts, LabelPsi)
