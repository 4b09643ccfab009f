
ÿ	/host:CPU"Iterator::Prefetch"cuLaunchKernel"dense/MatMul:MatMul"train*correlation_id*_r*
group_id*
step_numZpythonš†Ü…¤¦õ" ÷6" " " "NĞ†" " œˆ'" 	"ˆ' 
/device:GPU:0"3"	MemcpyH2D"ampere_sgemm*memcpy_details*tf_op*correlation_idyStream #7(Compute)š†Ü…¤¦õ") À¸" 	"*dense/MatMul:MatMul",ğ“	¨F" 
"*kind_src:pinned size:64Stepsš†Ü…¤¦õ" ÷6
:Task Environment*profile_start_time2 š†Ü…¤¦õ