package kernels

// burnFloatsAVX2 does 12 multiply-adds of 8 floats per round, burnFloatsAVX512 24 of 16.
func burnFloatsAVX2(rounds int)

func burnFloatsAVX512(rounds int)
