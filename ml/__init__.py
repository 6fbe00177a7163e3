"""Models of machine learning, their training and their export; the core never imports this room.

The cosmic-ray veto study of Mu2e: :mod:`.crv_table` (input), :mod:`.crv_training` (nested folds, thresholds),
:mod:`.crv_evaluation` (event scores, efficiencies with intervals), :mod:`.crv_ablation`, :mod:`.crv_export`.
XGBoost and the ONNX packages are loaded when they are needed: ``pip install 'mucoffea[ml]'``.
"""
