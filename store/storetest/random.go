package storetest

func (tr *trial) random(bool) {}
