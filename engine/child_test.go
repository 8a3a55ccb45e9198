package engine

func childMain() bool { return false }
