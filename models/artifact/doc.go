// Package artifact is a trained model as one file that anybody can check and
// use: canonical bytes that hold the encoder (and in it the schema), the
// architecture, the operating thresholds and the parameters. It scores rows and
// says which columns moved a score. Whether a file may be trusted is not decided
// here: see models/registry and crypto/sign.
package artifact
