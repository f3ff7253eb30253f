package render_test

// encryptedAnew are files of encrypted.txtar with the same values, encrypted once
// more by the real sops.
const encryptedAnew = `-- database.yaml --
# The database of the orders.
apiVersion: plumbline.dev/v1
kind: ServiceSecret
metadata:
    name: database
    namespace: shop
spec:
    type: env
    data:
        #ENC[AES256_GCM,data:iJn+s0iUjOz1UK/78oIvIVdP0xsLymQSuJqHDg==,iv:KBtH0Ww+/FeGlEtGIkz0QUV9uKPEJe7nCqcT7cDmd3o=,tag:GArYVxLZRNqqDY9+AaXIiA==,type:comment]
        PASSWORD: ENC[AES256_GCM,data:XdmODgbg+urlSGVE,iv:5cMuCT8WB0qNOO/uI8Dj0Op2cEStnR6NYNx3htvn4DA=,tag:3jBi2Iu3rixIHib1NOUK4Q==,type:str]
        DB_PORT: ENC[AES256_GCM,data:lBIBOg==,iv:EIAGZeRHi8y46Oq+8AF17q/tGZzawqDgQrTFTzu5K3c=,tag:xukfPVUMXwCc5QHqCmkBiw==,type:int]
        EMPTY: ""
sops:
    age:
        - enc: |
            -----BEGIN AGE ENCRYPTED FILE-----
            YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBOK3NyWG9LVDg1RmJOcUVs
            L3oyL0RsWnA4eGcwTWNJclZ0dGRMN0tvVkZBCm9WM0QvUFpnb09FL1J6ODBTaGlN
            SGdpek56cXB4eThpclI4YjZqUnRtd1EKLS0tIExheFJJcFhBZlV1eXhSYXEvWjA5
            UWNvYjROd2xmYndFa09uazhhK2N5VzAKM6h6dnwwIt5alEzsgx281e/xJpzO8HId
            /HWYmmun+ShHUeln/qnjNp2wOKYBpHdronKtY0HjOBtHrp870Gtlhg==
            -----END AGE ENCRYPTED FILE-----
          recipient: age144rldag3lhazneak8vxn3xcue30zrpxz8h9ja23ulnfe3sc9egjq6ggya6
    encrypted_regex: ^(data|stringData)$
    lastmodified: "2026-11-22T18:36:44Z"
    mac: ENC[AES256_GCM,data:6Ndp2EmhUyvN3RVUqS7V8z8adxwqtSoYxwHMVeH6aH9xIXmzt8j/JYHuTzLZxGgNaiQH/d8TN5tUQSvQStjkZbBYSp9D6cYOjSzv2WFGyTmj9jZmrLWMHlOrR593Cpd5d39NE14FosiZcbtuatdx9CrvQQN9B5FlwcHZy3XRXmY=,iv:OBLu8T9761R9rnX2cghrZ6NiM+O+gLLjv3KnuTFhf3k=,tag:I5Hjbjmkwrc81JcJ59Drtw==,type:str]
    version: 3.13.3
-- registry.json --
{
	"apiVersion": "plumbline.dev/v1",
	"kind": "ServiceSecret",
	"metadata": {
		"name": "registry",
		"namespace": "shop"
	},
	"spec": {
		"type": "docker",
		"data": {
			"url": "ENC[AES256_GCM,data:OYuLKeZUPg==,iv:kFj6YjFftDevVRZsKJfL8yahDNHoKpgBmw6E6GVC5VU=,tag:Yt/0hCZLKmIaDYfOZ9R0Bg==,type:str]",
			"username": "ENC[AES256_GCM,data:oQ==,iv:3JHzAMLvuIlzowQzmgDEv1djsMBj0rPGA56XXsINh0k=,tag:Bhj4Adb+SKW81dnPFlmokA==,type:str]",
			"password": "ENC[AES256_GCM,data:UA==,iv:gK/fSJ2phZt7LuUHtDvq7Ad1d4eQzNHP8iwzCQHmzfM=,tag:4U/cxR4FrPTSGUkgIfBVhg==,type:str]"
		}
	},
	"sops": {
		"age": [
			{
				"enc": "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSB2Sm9qNEhLeEtjcWdpemQw\nNmxLZFYrcVcxbnlmN0hZYnhIb1FoZ3AvMEVBCk5Ya1poS1hoUC9lbVFHTHg5V09I\ndXlscTdHTUpXT0FWYSszL0YycnZ0NjAKLS0tIEVNL2lMdjVrNGlJOEc2U2p5aXVo\nZzY3STcxeEltV21Ha2l3UTh3VGdwaGcKkComIqQ3TQ4JJemhfUYtsuRZOOgE/bul\nsuYm8HPyaTmM1BfLXbP89kxmoRcwx2/1u0ctlLpk2+uYsIDTVYm3tg==\n-----END AGE ENCRYPTED FILE-----\n",
				"recipient": "age144rldag3lhazneak8vxn3xcue30zrpxz8h9ja23ulnfe3sc9egjq6ggya6"
			}
		],
		"encrypted_regex": "^(data|stringData)$",
		"lastmodified": "2026-11-22T18:36:45Z",
		"mac": "ENC[AES256_GCM,data:wtb9Wca1Tq3uh50qJrzdQQMzBn0UGwRoB7u6BHAA0nfSOBvDIpOpy6UKMyQZN6Vc1P9MwMRMuzhMmaEY2xB+/YxQzhb0xRMlnieEmGWD3VAE2x4wR3p4283LzE4S5WEixAl6eUlbjUnmMU+IpVWOyvCD15AqwybdawpPdLXHREM=,iv:oZc51gfamxrQVTgfxsMS4ilT64nRzbu8T7/QJ6aPGVU=,tag:WEAHimgqbJpNEnZx1C7kPw==,type:str]",
		"version": "3.13.3"
	}
}
-- tls.yaml --
api: ENC[AES256_GCM,data:DUSGsgYiZ1Z/DGCc1J/vzDLhv4AfhBghsxMT3DCkabTa,iv:8l1JxM4PNxn8JjxLTyXJt4Yzau7XTkyE/HypDt4VQ5I=,tag:7hp4A5tmaAk7PHAbw17vHw==,type:str]
type: ENC[AES256_GCM,data:FM6DEsF3,iv:7RJb28Nucs/DYdaS7KH/qSV/CWLloVzanp8nT+KK4XY=,tag:VO3GgZmncgX6h4/HsgiiCQ==,type:str]
meta:
    project: ENC[AES256_GCM,data:+pfiCw==,iv:Y1l7EU0EhYzAmRbkjQL42VmVxActvL7KF+61HCSqmuU=,tag:p6B4oj4vOf2oRvu9r+eSpQ==,type:str]
    id: ENC[AES256_GCM,data:kP8N,iv:HezEnJ0SLL3eIWvcD0+UES+0qEFKdK8ZInhNPBrpjlw=,tag:Xmv6MdYWQnPC62LyXERl2A==,type:str]
spec:
    type: ENC[AES256_GCM,data:fodG+w==,iv:AGyWrGHZAtHwfU0Ub98dhlb1eQBeQnUwcTZ+ilXHu7A=,tag:2gR3deKmeppEc2sptXbnWg==,type:str]
    rootPath: ENC[AES256_GCM,data:3pWA1S8Cc4k=,iv:BLnAHXlYfnHeRqvtavXbQG4dPMvvMJgoe8W3wg2LExo=,tag:aRUe3BZs+36GP0+TVTHLZw==,type:str]
    data:
        ca.pem: ENC[AES256_GCM,data:sDsP4QohoOk63rSIog==,iv:oFgNtkgwYjaZ3mzECX+tLU4UHKwoTXfoU4kFuyflGpU=,tag:E0uuKzhA7IFLNeFpwG6k1g==,type:str]
sops:
    age:
        - enc: |
            -----BEGIN AGE ENCRYPTED FILE-----
            YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSAzcWxVaFpLbTM3NE8zVzVj
            ZVd3eUlqTkR3bUQzeFBVbU91Sm5ndERzeEFJCjRJLzdaQWRGdVRKTjZNcmZqeStC
            c285MFpub3lSV3pTK2tzUlFXZVdtWUUKLS0tIDVSYVAwTFRLZ1RoeGlMaHhHRmp5
            ejgzVW4wS1kyczV3eE9BUndBTjVNQjAKwroV9R6fWMVDnDLpt8O05CSBhs9ndPJ5
            hhAgHMbn8vXIFPqc0EYs6F1RtdlfJjQmU6uhBzV4+8e1khjFwhpDNA==
            -----END AGE ENCRYPTED FILE-----
          recipient: age144rldag3lhazneak8vxn3xcue30zrpxz8h9ja23ulnfe3sc9egjq6ggya6
    lastmodified: "2026-11-22T18:36:45Z"
    mac: ENC[AES256_GCM,data:6h1sX/f9nVYxZc/x2HdSN/YMZQIETBIPmjsktV5+X9yAvdywaS53Ge+ifO1GgW5640x1X/ejaIboQTlGWpESeeHFS9L1oVJUneWuzuFRSyaeclfrbNLYHK4SZHo20dGznGXCTogHdNVXTjLW1LSttVmD/x5dRZE/rBP+4sf+hqk=,iv:p/OPFMbp++HIHnN8OeAfr82dxukRzFXKW15WXKirNxI=,tag:Owyr3DCguJNRNXg1qKXyuw==,type:str]
    unencrypted_suffix: _unencrypted
    version: 3.13.3
-- plain.yaml --
apiVersion: ENC[AES256_GCM,data:MxU=,iv:+YNkN5X1ySp1T2s6cOwQd/gK7Nr0koWcJ8Bxvs1h6dw=,tag:bzTStikqdDblDhVM6VW+2Q==,type:str]
kind: ENC[AES256_GCM,data:DOmtP8vX,iv:jL7hSEDznbhUHm9bXazD7yUh6NatG3rJ3t2GLceMlQQ=,tag:dfEoR+eBIlR/9KrzJHTAuQ==,type:str]
metadata:
    name: ENC[AES256_GCM,data:/Jd2,iv:jU1loAixpeLVoDAijz7WezIxDJ1Xp43JROMilvLXzfw=,tag:7ae3akuF3Izs5EQ/Iin7EQ==,type:str]
    namespace: ENC[AES256_GCM,data:lSDwNg==,iv:T+l7IgMNm933UDNa65nC74DsVD6M0F1mzlvQDGo6W6w=,tag:fO2rJdYAgp5tvBXwpqT93g==,type:str]
stringData:
    token: ENC[AES256_GCM,data:hKC6RQ+jRQEApMlk,iv:8azg2jyE/6EUEDS4uU8p7gLelxMng+p+oS+prK5NmAY=,tag:e+G7LOADHfw6E39EJeP+eg==,type:str]
sops:
    age:
        - enc: |
            -----BEGIN AGE ENCRYPTED FILE-----
            YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSB4WVhnRzJTbnY4R2tVamQ1
            UDFqWStkV01veGM1eGhQUHhtWUZJUVRnQkdZCjNKazNmam1adzlkUndNb0xpUlB3
            VGFuaFZ6QlJ5L01ERnpKQTNyWW15OGcKLS0tIDNIZTZibDU0NGJaU2xKeDBzVmp6
            dExqZmlnV3FkNi91MnlkaVNESm12U1UKFng7UcHluVXeCky4FAvoZtAZJboMKjch
            xbTtbidZqs4DaANUM4AiE5Z0tXD2mM1v1BdA1zi9SxVgrN4NDo29xw==
            -----END AGE ENCRYPTED FILE-----
          recipient: age144rldag3lhazneak8vxn3xcue30zrpxz8h9ja23ulnfe3sc9egjq6ggya6
    lastmodified: "2026-11-22T18:36:45Z"
    mac: ENC[AES256_GCM,data:VApYasGV+GLV8pcVSIZRRyd2LWzrMtRYjARCs31/ECxmbyx1j0kuiw4HaA6ohEzMj9DUUO77oBfrAWXe6WEAmi5D+E26iIffSYI01d57bDjTFAiJLpC5YNgDCcpH7qiidQZCp7Sv0btYz38XiACxAKZf2ups8ADOFlMV/eN3zzc=,iv:jpTQNpn/lPcERoYL+56E2O03cFBu6843Rlidz5e9UEA=,tag:X0cCRv1u026zHOyxV+PLdg==,type:str]
    unencrypted_suffix: _unencrypted
    version: 3.13.3
---
apiVersion: ENC[AES256_GCM,data:fgk=,iv:d+RqF/v1jCtQ+wFRdfyLvLoqDq7wUBwLBnV01L9Xc8Y=,tag:Ix6UyTJfx85u0zQ7p+TkkQ==,type:str]
kind: ENC[AES256_GCM,data:8mkD8cMt,iv:s/oAeI2tsz1df+Zb3a04Em2d9lcAh9h7WKLQgJwjYQo=,tag:ZStL9FBTUrYjGNUhKQ03ZQ==,type:str]
metadata:
    name: ENC[AES256_GCM,data:k0Pd,iv:mfenQW2bHiijui4WA1xSKtu9kt/Lhbjxc3gEtn+0gSI=,tag:llH/dC7SFAS5mW/sAXgp0A==,type:str]
    namespace: ENC[AES256_GCM,data:r5fVhg==,iv:z0XXn91NgWa5fsQirUOn6kSZP3GSeXLyhMwwgbCGNYo=,tag:VFa8WSQEHa5AVy8ObaSp2Q==,type:str]
type: ENC[AES256_GCM,data:agij8PCsidUloBMHGfNhiBI=,iv:LkoWf7GZhhcoCU6kDDVmHVv6wACvSKkI6cTdqIFz504=,tag:fOutZc1yIz+TyqSz+2dvBQ==,type:str]
data:
    tls.crt: ENC[AES256_GCM,data:LtJU2MR41c6PHMElOBkM1w==,iv:IYHlnhNhmDWZBuaxEXadoeQyQfpnCmIOzEYOv5uk/3k=,tag:wUZeF7b+U3MN2kTxVD48Zg==,type:str]
    tls.key: ENC[AES256_GCM,data:wHHgWQ9QydTfBhcmK7sJyQ==,iv:QJ8GVZjebZ5zEfPKf23Y7HGrhFgxA3Xvos1y0NBsIyw=,tag:mGjiwImxJ8dQOjCMH+7gwQ==,type:str]
sops:
    age:
        - enc: |
            -----BEGIN AGE ENCRYPTED FILE-----
            YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSB4WVhnRzJTbnY4R2tVamQ1
            UDFqWStkV01veGM1eGhQUHhtWUZJUVRnQkdZCjNKazNmam1adzlkUndNb0xpUlB3
            VGFuaFZ6QlJ5L01ERnpKQTNyWW15OGcKLS0tIDNIZTZibDU0NGJaU2xKeDBzVmp6
            dExqZmlnV3FkNi91MnlkaVNESm12U1UKFng7UcHluVXeCky4FAvoZtAZJboMKjch
            xbTtbidZqs4DaANUM4AiE5Z0tXD2mM1v1BdA1zi9SxVgrN4NDo29xw==
            -----END AGE ENCRYPTED FILE-----
          recipient: age144rldag3lhazneak8vxn3xcue30zrpxz8h9ja23ulnfe3sc9egjq6ggya6
    lastmodified: "2026-11-22T18:36:45Z"
    mac: ENC[AES256_GCM,data:VApYasGV+GLV8pcVSIZRRyd2LWzrMtRYjARCs31/ECxmbyx1j0kuiw4HaA6ohEzMj9DUUO77oBfrAWXe6WEAmi5D+E26iIffSYI01d57bDjTFAiJLpC5YNgDCcpH7qiidQZCp7Sv0btYz38XiACxAKZf2ups8ADOFlMV/eN3zzc=,iv:jpTQNpn/lPcERoYL+56E2O03cFBu6843Rlidz5e9UEA=,tag:X0cCRv1u026zHOyxV+PLdg==,type:str]
    unencrypted_suffix: _unencrypted
    version: 3.13.3
`
