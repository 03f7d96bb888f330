// Activations to int8 per 32 values, or bf16.
