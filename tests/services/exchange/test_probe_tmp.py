"""Exchange with the real identity, index, records and claims: what a facility's files become."""

import asyncio
import json, time
import os
from collections import Counter
from datetime import date
from pathlib import Path
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from nhip.exchange.v1 import resources_pb2, service_pb2, service_pb2_grpc

from services.claims.__main__ import build as build_claims
from services.exchange.__main__ import build as build_exchange
from services.identity.__main__ import build as build_identity
from services.patient_index.__main__ import build as build_index
from services.records.__main__ import build as build_records
from tests.support.postgres import DatabaseUrl
from tests.support.serving import Running, make_secrets, serving, trust_test_key

async def test_probe(database_url, tmp_path, monkeypatch):
    from services.exchange import neighbours as nb
    from services.records.api.importing import Importing
    o2=Importing.ImportResources
    seen=Counter()
    async def counted(self, request, call):
        seen[request.request_id]+=1
        t=time.perf_counter()
        try:
            r= await o2(self, request, call)
        except BaseException as e:
            print('SERVER', len(request.resources), request.resources[0].type, type(e), str(e)[:200], f'{time.perf_counter()-t:.2f}', seen[request.request_id]); raise
        print('OK', len(request.resources), request.resources[0].type, f'{time.perf_counter()-t:.2f}', seen[request.request_id])
        return r
    monkeypatch.setattr(Importing,'ImportResources',counted)
    orig=nb._refusal
    def loud(e):
        r=orig(e); print('REFUSAL',e.code(),r.reason,r.field,r.message[:300]); return r
    monkeypatch.setattr(nb,'_refusal',loud)
    from tools.population import Population
    secrets = make_secrets(tmp_path/"s")
    async with AsyncExitStack() as st:
        peers={}
        identity = await st.enter_async_context(serving("identity", build_identity, database_url("identity"), secrets=secrets))
        peers["identity"]=identity.process.address
        index = await st.enter_async_context(serving("patient_index", build_index, database_url("patient_index"), secrets=secrets, peers=peers))
        peers["patient_index"]=index.process.address
        records = await st.enter_async_context(serving("records", build_records, database_url("records"), secrets=secrets, peers=peers))
        peers["records"]=records.process.address
        claims = await st.enter_async_context(serving("claims", build_claims, database_url("claims"), secrets=secrets, peers=peers))
        peers["claims"]=claims.process.address
        exchange = await st.enter_async_context(serving("exchange", build_exchange, database_url("exchange"), secrets=secrets, peers=peers))
        from nhip.identity.v1 import service_pb2 as ipb, service_pb2_grpc as igrpc, resources_pb2 as ir
        istub=identity.stub(igrpc.IdentityServiceStub)
        for h in ("99001","99002","99003"):
            await istub.CreateOrganization(ipb.CreateOrganizationRequest(organization=ir.Organization(organization_id=h,name=h,kind=1)), metadata=identity.token(scopes="identity.admin",organization="nhip"), timeout=5)
        people=int(os.environ.get("PEOPLE","300"))
        pop=Population.generate(seed=1,people=people,today=date(2026,11,23),dirty=True)
        w=pop.write_all(tmp_path)
        stub=exchange.stub(service_pb2_grpc.ExchangeServiceStub)
        async def chunks(f,fmt):
            data=f.read_bytes()
            yield service_pb2.UploadImportRequest(format=fmt,file_name=f.name,chunk=data[:100])
            for i in range(100,len(data),1<<18): yield service_pb2.UploadImportRequest(chunk=data[i:i+(1<<18)])
        for f in w.files:
            fmt={"f43":1,"f16":2,"fhir":3}[f.format]
            md=exchange.token(scopes="imports.write",organization=f.hcode)
            t=time.perf_counter()
            r=await stub.UploadImport(chunks(f.path,fmt),metadata=md)
            imp=getattr(r,"import")
            while imp.state in (2,3):
                await asyncio.sleep(0.1)
                imp=getattr(await stub.GetImport(service_pb2.GetImportRequest(import_id=imp.import_id),metadata=md,timeout=5),"import")
            dt=time.perf_counter()-t
            print(f.path.name, imp.state, imp.error_reason, imp.error_message, imp.rows_total, f"{dt:.2f}s {imp.rows_done/dt:.0f}/s")
            for x in imp.files: print("  ",x.file,x.rows,x.created,x.updated,x.unchanged,x.rejected,x.skipped,x.note)
            rej=await stub.ListRejectedRows(service_pb2.ListRejectedRowsRequest(import_id=imp.import_id,page_size=1000),metadata=md,timeout=5)
            print(Counter((x.file,x.reason,x.column) for x in rej.rows))
            seen=set()
            for x in rej.rows:
                if (x.file,x.reason) not in seen:
                    seen.add((x.file,x.reason)); print("    ",x.file,x.line,x.column,x.reason,x.message)
