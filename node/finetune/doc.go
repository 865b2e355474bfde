// Package finetune fits a federated model to one member's own rows after a run
// has closed, and says on that member's test rows whether it was worth it:
// federated, fine-tuned and alone. Nothing of it leaves the node. The report and
// the artifact are marked: local, not released, not signed, not comparable with
// the federation's figures, whose gates nobody has applied to them.
package finetune
