package onnx

// SetMaxNodes lowers the limit of nodes and returns what restores it.
func SetMaxNodes(n int) (restore func()) {
	before := maxNodes
	maxNodes = n
	return func() { maxNodes = before }
}
