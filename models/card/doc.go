// Package card derives the model card and the instructions for use from one
// record of facts.
//
// A Record holds what was recorded while a model was declared, planned,
// trained and evaluated. Everything else is generated from it: canonical JSON
// (card.json), and Markdown (card.md) that ends with instructions for use under
// the headings of Art. 13(3) of Regulation (EU) 2024/1689. A fact that nobody
// recorded is shown as "not recorded", never guessed and never left out.
// Figures point into the report and are checked against it to the last bit
// (CheckReport), so that the declared accuracy is the measured one (Art. 15(3)).
package card
