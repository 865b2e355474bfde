package aggregate

// yogi is FedYogi's second moment (Reddi et al. 2021, Algorithm 2, after Zaheer
// et al. 2018): v ← v − (1−β2)·Δ²·sign(v − Δ²). It moves by at most (1−β2)·Δ²,
// so one large sum does not shorten the steps of many rounds.
func yogi(v, square float64) float64 {
	change := float64((1 - beta2) * square)
	switch {
	case v > square:
		return v - change
	case v < square:
		return v + change
	}
	return v
}
