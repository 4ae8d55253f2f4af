package kernels

// burnFloatsNEON does 16 multiply-adds of four floats per round, at least one round, burnPairs 16 of BFMMLA.
func burnFloatsNEON(rounds int)

func burnPairs(rounds int)
