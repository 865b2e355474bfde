package aggregate

// adagrad is FedAdagrad's second moment (Reddi et al. 2021, Algorithm 2):
// v ← v + Δ². Steps of a coordinate only become shorter.
func adagrad(v, square float64) float64 { return v + square }
